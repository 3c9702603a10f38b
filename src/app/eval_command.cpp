#include "app/eval_command.h"

#include <cstdio>
#include <filesystem>
#include <optional>

#include "app/setup.h"
#include "app/torch_errors.h"
#include "config/load.h"
#include "core/log.h"
#include "data/dataset.h"
#include "dist/session.h"
#include "dist/stop_signals.h"
#include "io/checkpoint_folder.h"
#include "io/json_number.h"
#include "model/flat_parameters.h"
#include "model/host_allocator.h"
#include "model/safetensors_weights.h"
#include "train/evaluator.h"

namespace rn::app {
namespace {

namespace fs = std::filesystem;

constexpr char kUsage[] =
    "usage: rn_dist eval CHECKPOINT_OR_RUN [--config FILE] [--split test|val|train] [--weights raw|ema|swa] "
    "[--json]\n"
    "                    [key=value ...]\n"
    "Evaluates a run folder (its best checkpoint, else the last) or one checkpoint folder. Weights: swa, "
    "else ema, else\n"
    "raw. The configuration is the run's own unless --config names another.";

struct Arguments {
  std::string path;
  std::string config;
  std::string split = "test";
  std::string weights;  // empty: the best kind that is there
  bool json = false;
  std::vector<std::string> overrides;
};

std::string one_of(const std::string& flag, const std::string& value,
                   std::initializer_list<const char*> allowed) {
  std::string list;
  for (const char* name : allowed) {
    if (value == name) return value;
    list += cat(list.empty() ? "" : ", ", name);
  }
  throw ConfigError(cat("eval: ", flag, " is '", value, "'; allowed: ", list));
}

Arguments parse(std::span<const std::string> args) {
  Arguments parsed;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& word = args[i];
    const auto value = [&]() -> const std::string& {
      if (i + 1 == args.size()) throw ConfigError(cat("eval: ", word, " needs a value\n", kUsage));
      return args[++i];
    };
    if (word == "--config") {
      parsed.config = value();
    } else if (word == "--split") {
      parsed.split = one_of(word, value(), {"test", "val", "train"});
    } else if (word == "--weights") {
      parsed.weights = one_of(word, value(), {"raw", "ema", "swa"});
    } else if (word == "--json") {
      parsed.json = true;
    } else if (word.starts_with("-")) {
      throw ConfigError(cat("eval: unknown option ", word, "\n", kUsage));
    } else if (parsed.path.empty()) {
      parsed.path = word;
    } else if (word.find('=') != std::string::npos) {
      parsed.overrides.push_back(word);
    } else {
      throw ConfigError(cat("eval: one checkpoint or run, not also '", word, "'\n", kUsage));
    }
  }
  if (parsed.path.empty()) throw ConfigError(kUsage);
  return parsed;
}

// The checkpoint folder and the run folder that `path` means.
struct Location {
  std::string checkpoint;  // the best one of a run, else its last
  std::string last;        // the last one of a run; empty: one checkpoint was named
  std::string run;
};

Location locate(const std::string& path) {
  if (fs::exists(fs::path(path) / "manifest.json")) {
    return {path, "", fs::weakly_canonical(path).parent_path().parent_path().string()};
  }
  const io::CheckpointFolder folder(io::posix_file_system(), path + "/checkpoints");
  const auto last = folder.last();
  if (!last) {
    throw DataError(cat("eval: ", path,
                        " is neither a checkpoint (no manifest.json) nor a run with a valid "
                        "checkpoint in checkpoints/"));
  }
  const auto in_run = [&](std::int64_t step) { return cat(path, "/checkpoints/", step); };
  return {in_run(folder.best().value_or(*last)), in_run(*last), path};
}

// Whether the SWA weights can be used: their norm statistics are estimated when the run ends.
bool has_final_swa(const io::LoadedCheckpoint& checkpoint) {
  const auto identity = checkpoint.values.value("identity", nlohmann::json::object());
  const auto number = [](const nlohmann::json& object, const char* key) {
    return io::whole_number<std::int64_t>(object.value(key, nlohmann::json())).value_or(-1);
  };
  return number(checkpoint.values, "swa.snapshots") > 0 && checkpoint.step == number(identity, "total_steps");
}

io::LoadedCheckpoint load(const Location& location, const config::RunConfig& config,
                          const std::string& asked) {
  auto& files = io::posix_file_system();
  const bool wants_swa = config.swa.enabled && (asked.empty() || asked == "swa");
  if (wants_swa && !location.last.empty()) {
    auto last = io::load_checkpoint(files, location.last);
    if (has_final_swa(last)) return last;
  }
  return io::load_checkpoint(files, location.checkpoint);
}

std::string choose_weights(const io::LoadedCheckpoint& checkpoint, const std::string& asked) {
  const auto has = [&](const std::string& kind) { return checkpoint.file(kind + ".safetensors") != nullptr; };
  if (!asked.empty()) {
    if (asked != "raw" && !has(asked))
      throw DataError(cat("eval: ", checkpoint.path, " has no ", asked, " weights"));
    if (asked == "swa" && !has_final_swa(checkpoint)) {
      throw DataError(cat("eval: the SWA weights in ", checkpoint.path,
                          " are not ready: the run averages until its end, and then estimates their norm "
                          "statistics"));
    }
    return asked;
  }
  if (has("swa") && has_final_swa(checkpoint)) return "swa";
  return has("ema") ? "ema" : "raw";
}

void print_text(const train::EvalResult& result, const data::Dataset& dataset, const std::string& what,
                std::ostream& out) {
  char line[160];
  std::snprintf(line, sizeof line, "%s: top-1 %.2f %% (%lld of %lld)  top-5 %.2f %%  loss %.4f\n",
                what.c_str(), result.top1_percent(), static_cast<long long>(result.top1),
                static_cast<long long>(result.n), result.top5_percent(), result.loss());
  out << line << "confusion (row: label, column: predicted)\n";
  for (std::int64_t label = 0; label < result.classes; ++label) {
    std::snprintf(line, sizeof line, "%12s", dataset.classes[static_cast<std::size_t>(label)].c_str());
    out << line;
    for (std::int64_t predicted = 0; predicted < result.classes; ++predicted) {
      std::snprintf(line, sizeof line, "%6lld",
                    static_cast<long long>(
                        result.confusion[static_cast<std::size_t>(label * result.classes + predicted)]));
      out << line;
    }
    out << '\n';
  }
}

void print_json(const train::EvalResult& result, const std::string& split, const std::string& weights,
                std::int64_t step, std::ostream& out) {
  out << nlohmann::json{{"split", split},
                        {"weights", weights},
                        {"step", step},
                        {"n", result.n},
                        {"top1_count", result.top1},
                        {"top5_count", result.top5},
                        {"top1", result.top1_percent()},
                        {"top5", result.top5_percent()},
                        {"loss", result.loss()},
                        {"confusion", result.confusion}}
             .dump()
      << '\n';
}

}  // namespace

int run_eval_command(std::span<const std::string> args, std::ostream& out) {
  if (!args.empty() && (args.front() == "--help" || args.front() == "-h")) {
    out << kUsage << '\n';
    return 0;
  }
  const Arguments arguments = parse(args);
  const Location location = locate(arguments.path);
  const std::string config_path =
      arguments.config.empty() ? location.run + "/config.resolved.yaml" : arguments.config;
  const config::RunConfig config = config::load_config(config_path, arguments.overrides).config;

  model::prepare_host_allocator();
  dist::Session session(config.dist, config.train.threads);
  dist::release_stop_signals();  // there is nothing to save
  const auto evaluate = [&] {
    auto& host = session.host();
    init_logging(LogLevel::kInfo, host.rank(), host.world_size());
    const torch::Device device = prepare_device(session);
    session.board().enter(dist::Phase::kCheckpoint);
    const auto checkpoint = load(location, config, arguments.weights);
    const std::string weights = choose_weights(checkpoint, arguments.weights);
    session.board().enter(dist::Phase::kData);
    const auto dataset = data::open_dataset(config.data, config.run.seed);
    const data::ImageSet& images = arguments.split == "test"  ? dataset->test
                                   : arguments.split == "val" ? dataset->val
                                                              : dataset->train;
    if (images.size == 0) throw ConfigError(cat("eval: the split '", arguments.split, "' is empty"));

    auto net = make_network(config, dataset->shape(), session.communicator());
    net->to(device);
    model::FlatParameters params(*net, session.communicator(), bucket_elements(config.dist));
    const std::string file = (weights == "raw" ? "model" : weights) + std::string(".safetensors");
    model::load_weights(params, *checkpoint.file(file), cat(checkpoint.path, "/", file),
                        model::LoadMode::kStrict);

    session.board().enter(dist::Phase::kEval);
    const auto precision = train::resolve_precision(config.train.precision, device);
    const auto eval = eval_options(config, device);
    const auto result = train::evaluate(*net, images, host,
                                        {config.augment, config.data, eval, precision, device,
                                         static_cast<std::int64_t>(dataset->classes.size()),
                                         [&] { session.board().enter(dist::Phase::kEval); }});
    if (host.rank() == 0) {
      if (arguments.json) {
        print_json(result, arguments.split, weights, checkpoint.step, out);
      } else {
        print_text(result, *dataset, cat(arguments.split, ", ", weights, " weights, step ", checkpoint.step),
                   out);
      }
    }
    return ExitCode::kDone;
  };
  return dist::guarded(session, with_plain_errors(evaluate));
}

}  // namespace rn::app
