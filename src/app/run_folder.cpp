#include "app/run_folder.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <span>

#include "config/derived.h"
#include "config/dump.h"
#include "config/identity.h"
#include "config/load.h"
#include "core/error.h"
#include "core/log.h"
#include "io/atomic_file.h"
#include "io/file_system.h"
#include "io/json_number.h"

namespace rn::app {
namespace {

constexpr char kConfigFile[] = "config.resolved.yaml";
constexpr char kSummaryFile[] = "summary.json";
constexpr char kFailureFile[] = "failure.json";
constexpr char kFlightFolder[] = "flight";
constexpr std::uint64_t kMaxJsonBytes = 64 << 20;

std::string ways_on(const config::RunConfig& config) {
  return cat("Use another run.name (now '", config.run.name,
             "'), run.overwrite=true (moves the old folder aside), or model.init_from=FILE to start from its "
             "weights.");
}

// What an earlier bad end left: failure.json and the flight record.
void forget_failure(const std::string& dir) {
  auto& files = io::posix_file_system();
  if (files.exists(dir + "/" + kFailureFile)) files.remove(dir + "/" + kFailureFile);
  const std::string flight = dir + "/" + kFlightFolder;
  if (files.exists(flight) && files.read_link(flight).empty()) {
    for (const auto& name : files.list(flight)) files.remove(flight + "/" + name);
  }
  if (files.exists(flight)) files.remove(flight);
}

std::optional<nlohmann::json> read_json(const std::string& path) {
  auto& files = io::posix_file_system();
  if (!files.exists(path)) return std::nullopt;
  const auto bytes = files.read(path, kMaxJsonBytes);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  auto parsed = nlohmann::json::parse(text, text + bytes.size(), nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded() || !parsed.is_object()) {
    throw DataError(
        cat(path, " is not valid JSON. Remove it, and the run goes on from its last checkpoint."));
  }
  return parsed;
}

// What summary.json says of a run that is done.
struct FinishedRun {
  std::int64_t steps = -1;  // -1: it is not done
  std::string results;      // a line per split and set of weights
};

FinishedRun read_finished(const std::string& dir) {
  const std::string path = dir + "/" + kSummaryFile;
  const auto summary = read_json(path);
  FinishedRun run;
  if (!summary) return run;
  const DataError damaged(
      cat(path,
          " is not a summary as runs write it. Remove it, and the run goes on from its last "
          "checkpoint."));
  try {
    if (summary->value("status", "") == "done") {
      const auto steps = io::whole_number<std::int64_t>(summary->value("steps", nlohmann::json(-1)));
      if (!steps) throw damaged;
      run.steps = *steps;
    }
    const nlohmann::json evals = summary->value("evals", nlohmann::json::object());
    for (const auto& [split, by_weights] : evals.items()) {
      for (const auto& [weights, result] : by_weights.items()) {
        char number[32];
        std::snprintf(number, sizeof number, "%.2f", result.value("top1", 0.0));
        run.results += cat("\n  ", split, " top-1 ", number, " % (", weights, ")");
      }
    }
  } catch (const nlohmann::json::exception&) {
    throw damaged;
  }
  return run;
}

void move_aside(const std::string& dir) {
  auto& files = io::posix_file_system();
  char stamp[32];
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  std::string aside = dir + ".old-" + stamp;
  for (int i = 2; files.exists(aside); ++i) aside = cat(dir, ".old-", stamp, "-", i);
  files.rename(dir, aside);
  log_info("moved the earlier run to ", aside);
}

bool is_path(const std::string& resume) { return resume != "auto" && resume != "never" && resume != "must"; }

// The differences between the run in the folder and the one asked for, one line each.
std::string describe_differences(const std::vector<config::IdentityDifference>& differences) {
  std::string text;
  for (const auto& difference : differences) {
    text += cat("\n  ", difference.key, ": the folder's run has ", difference.a, ", this one ", difference.b);
  }
  return text;
}

}  // namespace

std::string resume_path(const config::RunConfig& config) {
  return is_path(config.run.resume) ? config.run.resume : std::string();
}

Identity make_identity(const config::RunConfig& config, const data::Dataset& dataset,
                       train::Precision precision, const train::StepPlan& plan) {
  return {dataset.content_hash,    std::string(train::name_of(precision)),
          plan.shape().ranks,      plan.total_steps(config.train.epochs, config.train.max_steps),
          config::monitor(config), resume_path(config)};
}

nlohmann::json Identity::to_json() const {
  return {{"data_hash", std::to_string(data_hash)},
          {"precision", precision},
          {"ranks", ranks},
          {"total_steps", total_steps},
          {"monitor", monitor},
          {"resumed_from", resumed_from}};
}

RunFolder::RunFolder(const config::RunConfig& config, const Identity& identity, dist::Session& session)
    : dir_(config::run_folder(config)),
      is_federated_(config.run.mode == config::Mode::kFederated),
      length_(is_federated_ ? "federated.rounds" : "train.epochs or train.max_steps"),
      checkpoints_(io::posix_file_system(), dir_ + "/checkpoints") {
  Communicator& host = session.host();
  if (host.rank() == 0) {
    try {
      outcome_ = open(config, identity);
    } catch (const InternalError&) {
      throw;
    } catch (const Error& error) {
      if (error.code() != ExitCode::kFailure) throw;
      throw EnvironmentError(  // nothing could be written: the place is at fault
          cat("run.dir: ", dir_, " cannot be used as run folder: ", error.what(),
              ". Choose another run.dir."));
    }
  }
  std::array<std::int64_t, 2> decision = {static_cast<std::int64_t>(outcome_), resume_step_};
  host.broadcast(bytes_of(std::span(decision)), 0).wait();
  outcome_ = static_cast<Outcome>(decision[0]);
  resume_step_ = decision[1];
  if (outcome_ != Outcome::kFinished) session.claim_run_folder(dir_);
}

void RunFolder::check_in_place(dist::Session& session) const {
  if (lock_->is_in_place()) return;
  session.leave_run_folder();
  throw Error(ExitCode::kFailure,
              cat("the run folder ", dir_,
                  " was deleted or moved while the run wrote there. Bring it back and give "
                  "the same command to go on from its last checkpoint."));
}

RunFolder::Outcome RunFolder::open(const config::RunConfig& config, const Identity& identity) {
  auto& files = io::posix_file_system();
  if (config.run.overwrite && files.exists(dir_ + "/" + kConfigFile)) {
    {
      const io::RunLock nobody_else(dir_);
    }  // a live run is not moved away under its feet
    move_aside(dir_);
  }
  files.make_directory(dir_);
  lock_ = std::make_unique<io::RunLock>(dir_);

  Outcome outcome = Outcome::kStart;
  if (files.exists(dir_ + "/" + kConfigFile)) {
    if (config.run.resume == "never") {
      throw ConfigError(cat("run.resume is 'never', but ", dir_, " holds a run already. ", ways_on(config)));
    }
    outcome = continue_run(config, identity);
  } else {
    for (const auto& name : files.list(dir_)) {
      if (name.front() != '.' && name != kFailureFile && name != kFlightFolder) {
        throw ConfigError(cat("run.dir: ", dir_, " is not empty and holds no run (it has '", name,
                              "'). Choose another run.dir or run.name."));
      }
    }
    if (config.run.resume == "must") {
      throw DataError(
          cat("run.resume is 'must', but ", dir_, " holds no run. Use run.resume=auto to start one."));
    }
    if (is_path(config.run.resume)) {
      resume_from(config, identity);
      outcome = Outcome::kResume;
    }
  }
  if (outcome == Outcome::kFinished) return outcome;
  forget_failure(dir_);
  io::write_file_atomically(files, dir_ + "/" + kConfigFile, config::dump_yaml(config));
  return outcome;
}

// Into an empty folder, from a checkpoint that lies elsewhere.
void RunFolder::resume_from(const config::RunConfig& config, const Identity& identity) {
  auto& files = io::posix_file_system();
  checkpoint_ = io::load_checkpoint(files, config.run.resume);
  const auto run = std::filesystem::weakly_canonical(checkpoint_->path).parent_path().parent_path();
  const std::string its_config = (run / kConfigFile).string();
  auto differences = differences_from_checkpoint(identity);
  if (files.exists(its_config)) {
    const auto before = config::load_config(its_config, {}).config;
    for (auto& difference : config::identity_differences(before, config)) differences.push_back(difference);
  }
  if (!differences.empty()) {
    throw ConfigError(cat("run.resume: ", config.run.resume,
                          " belongs to another run:", describe_differences(differences),
                          "\nUse its configuration, or model.init_from=FILE to start from its weights."));
  }
  if (checkpoint_->step > identity.total_steps) {
    throw ConfigError(cat("run.resume: ", config.run.resume, " is at step ", checkpoint_->step, ", past the ",
                          identity.total_steps, " steps of this configuration. Raise ", length_, "."));
  }
  resume_step_ = checkpoint_->step;
  forget_best();  // it lies in the other folder
}

std::vector<config::IdentityDifference> RunFolder::differences_from_checkpoint(
    const Identity& identity) const {
  std::vector<config::IdentityDifference> differences;
  const nlohmann::json known = checkpoint_->values.value("identity", nlohmann::json::object());
  const nlohmann::json asked = identity.to_json();
  const auto compare = [&](const char* field, const char* key) {
    if (known.contains(field) && known[field].is_string() && known[field] != asked[field]) {
      differences.push_back({key, known[field].get<std::string>(), asked[field].get<std::string>()});
    }
  };
  compare("data_hash", "the data's content (hash)");
  compare("precision", "train.precision");
  return differences;
}

void RunFolder::forget_best() { checkpoint_->values["best_step"] = -1; }

RunFolder::Outcome RunFolder::continue_run(const config::RunConfig& config, const Identity& identity) {
  auto& files = io::posix_file_system();
  const auto before = config::load_config(dir_ + "/" + kConfigFile, {}).config;
  auto differences = config::identity_differences(before, config);

  const auto last = checkpoints_.last();
  // Set back once: a requeued run with the same command goes on from where it has come since.
  const bool sets_back = is_path(config.run.resume) && !(last && resumed_from(*last) == config.run.resume);
  if (sets_back) {
    checkpoint_ = io::load_checkpoint(files, config.run.resume);
  } else if (last) {
    checkpoint_ = load_last(*last);
  } else if (config.run.resume == "must") {
    throw DataError(cat("run.resume is 'must', but ", dir_, " has no valid checkpoint."));
  }
  std::int64_t finished_steps = -1;
  if (checkpoint_) {
    const nlohmann::json known = checkpoint_->values.value("identity", nlohmann::json::object());
    for (auto& difference : differences_from_checkpoint(identity)) differences.push_back(difference);
    if (known.value("monitor", identity.monitor) != identity.monitor) forget_best();
    if (known.contains("ranks") && known["ranks"] != identity.ranks &&
        config.model.norm == model::Norm::kBatch && !config::is_strict(config)) {
      log_warning(
          "resuming at ", identity.ranks, " ranks what ran at ", known["ranks"].dump(),
          ": with model.norm: batch the statistics are over each rank's share of a batch, so the numbers "
          "differ from those of an uninterrupted run");
    }
    finished_steps = read_finished(dir_).steps;
  }
  if (!differences.empty()) {
    throw ConfigError(cat("run.dir: ", dir_, " holds another run:", describe_differences(differences), "\n",
                          ways_on(config)));
  }
  if (!checkpoint_) return Outcome::kStart;  // it ended before its first checkpoint
  if (!sets_back && finished_steps == checkpoint_->step && finished_steps >= identity.total_steps)
    return Outcome::kFinished;
  if (checkpoint_->step > identity.total_steps) {
    throw ConfigError(cat("run.dir: ", dir_, " is at step ", checkpoint_->step, ", past the ",
                          identity.total_steps, " steps of this configuration. ", ways_on(config)));
  }
  if (sets_back) checkpoints_.drop_after(checkpoint_->step);
  resume_step_ = checkpoint_->step;
  return Outcome::kResume;
}

// The run.resume path that the run which wrote checkpoint `step` was started with; empty: none, or not
// readable.
std::string RunFolder::resumed_from(std::int64_t step) const {
  try {
    return checkpoints_.load(step)
        .values.value("identity", nlohmann::json::object())
        .value("resumed_from", "");
  } catch (const std::exception&) {
    return "";
  }
}

// The newest checkpoint. A damaged one is refused, with the newest intact one named as the way on.
io::LoadedCheckpoint RunFolder::load_last(std::int64_t last) const {
  try {
    return checkpoints_.load(last);
  } catch (const DataError& error) {
    const auto intact = newest_intact();
    if (!intact) throw;
    throw DataError(cat(error.what(), "\nThe newest intact checkpoint is ", *intact,
                        ": go on from it with run.resume=", *intact));
  }
}

std::optional<std::string> RunFolder::newest_intact() const {
  const auto steps = checkpoints_.steps();
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    try {
      return checkpoints_.load(*step).path;
    } catch (const DataError&) {
    }
  }
  return std::nullopt;
}

std::string RunFolder::finished_summary() const {
  return cat(dir_, " is finished after ", checkpoint_->step, is_federated_ ? " rounds" : " steps",
             read_finished(dir_).results, "\nTo go on, raise ", length_,
             "; to start anew, run.overwrite=true.");
}

}  // namespace rn::app
