// rn_dist: the description of a training run, and the door to the other commands.
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "app/doctor_command.h"
#include "app/dry_run.h"
#include "app/eval_command.h"
#include "app/federated_dry_run.h"
#include "app/federated_run.h"
#include "app/run_folder.h"
#include "app/setup.h"
#include "app/split_command.h"
#include "app/torch_errors.h"
#include "app/usage.h"
#include "app/version.h"
#include "config/command_line.h"
#include "config/derived.h"
#include "config/dump.h"
#include "config/reference.h"
#include "config/schema.h"
#include "config/validate.h"
#include "core/log.h"
#include "data/data_command.h"
#include "data/dataset.h"
#include "dist/session.h"
#include "model/flat_parameters.h"
#include "model/host_allocator.h"
#include "model/safetensors_weights.h"
#include "report/run_report.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

namespace {

using namespace rn;

int train_run(const config::RunConfig& cfg) {
  model::prepare_host_allocator();
  dist::Session session(cfg.dist, config::step_threads(cfg));  // ranks, board, watchdog
  const auto experiment = [&]() -> ExitCode {
    auto& comm = session.communicator();
    init_logging(LogLevel::kInfo, comm.rank(), comm.world_size());
    config::check_world(cfg, comm.world_size());
    const torch::Device device = app::prepare_device(session, /*own_stream=*/cfg.train.cuda_graph);
    app::check_device_options(cfg, device);
    const auto precision = train::resolve_precision(cfg.train.precision, device);

    session.board().enter(dist::Phase::kData);
    const auto dataset = data::open_dataset(cfg.data, cfg.run.seed);
    auto net = app::make_network(cfg, dataset->shape(), comm);
    app::initialize_stem(cfg, *dataset, *net);
    net->to(device);
    model::FlatParameters params(*net, comm,
                                 app::bucket_elements(cfg.dist));  // weights and gradients as flat tensors
    app::check_ranks_agree(session, cfg, precision, params.layout(), dataset->content_hash);
    if (!cfg.model.init_from.empty()) app::initialize_from(cfg.model.init_from, params);

    auto options = app::trainer_options(cfg, precision, device, comm.world_size());
    train::StepPlan plan(
        {dataset->train.size, config::global_batch(cfg, comm.world_size()), comm.world_size(),
         config::shards_of_rank(cfg, comm.world_size()), cfg.train.drop_last, config::is_strict(cfg)},
        cfg.run.seed, cfg.augment, dataset->train.height, dataset->train.width);
    train::Sgd optimizer(cfg.optimizer, params);
    train::LossScaler scaler(precision, device);
    train::TrainState state(params, optimizer, scaler, cfg.ema,
                            cfg.swa);  // the one list of all that a run is

    const app::Identity identity = app::make_identity(cfg, *dataset, precision, plan);
    session.board().enter(dist::Phase::kCheckpoint);
    app::RunFolder folder(config::resolve_batch(cfg, comm.world_size()), identity, session);
    if (folder.outcome() == app::RunFolder::Outcome::kFinished) {
      if (comm.rank() == 0) std::cout << folder.finished_summary() << '\n';
      return ExitCode::kDone;
    }
    if (folder.checkpoint()) train::restore(state, *folder.checkpoint());
    train::broadcast_state(state, comm, /*root=*/0);

    report::RunReport report(cfg.report, folder.dir(), comm.rank() == 0, folder.resume_step(),
                             folder.resume_step() == identity.total_steps);
    options.identity = identity.to_json();
    options.check_run_folder = [&] { folder.check_in_place(session); };
    train::Trainer trainer(options, session, *net, *dataset, state, plan, folder.checkpoints(), report);
    report.run_start(config::to_json(cfg), app::environment_json(session),
                     {trainer.total_steps(), plan.steps_per_epoch()});
    return trainer.fit();
  };
  return dist::guarded(session, app::with_plain_errors(experiment));  // an exception ends it on every rank
}

// Under a launcher one rank speaks for all of them.
void dry_run(const config::RunConfig& cfg, int ranks) {
  const auto env = dist::read_launch_env();
  if (env.rank != 0) return;
  const bool is_federated = cfg.run.mode == config::Mode::kFederated;
  const auto print = is_federated ? app::print_federated_dry_run : app::print_dry_run;
  print(cfg, ranks > 0 ? ranks : env.world_size, std::cout);
}

int run(const std::vector<std::string>& args) {
  if (args.empty()) {
    std::cerr << app::usage_text();
    return static_cast<int>(ExitCode::kUsage);
  }
  const std::string& first = args.front();
  if (first == "eval") return app::run_eval_command(std::span(args).subspan(1), std::cout);
  if (first == "split") return app::run_split_command(std::span(args).subspan(1), std::cout);
  if (first == "data") return data::run_data_command(std::span(args).subspan(1), std::cout);
  if (first == "doctor") return app::run_doctor_command(std::span(args).subspan(1), std::cout);

  using Kind = config::Command::Kind;
  const auto command = config::parse_command(args);
  switch (command.kind) {
    case Kind::kRun: {
      const auto config = config::load_config(command).config;
      return config.run.mode == config::Mode::kFederated ? app::federated_run(config) : train_run(config);
    }
    case Kind::kDryRun:
      dry_run(config::load_config(command).config, command.ranks);
      break;
    case Kind::kPrintConfig:
      std::cout << config::print_config(config::load_config(command));
      break;
    case Kind::kPrintReference:
      std::cout << config::reference_markdown();
      break;
    case Kind::kPrintSchema:
      std::cout << config::json_schema().dump(2) << '\n';
      break;
    case Kind::kHelp:
      std::cout << app::usage_text() << "\nKeys, with their defaults and allowed values:\n\n"
                << config::help_text();
      break;
    case Kind::kVersion:
      std::cout << app::version_text();
      break;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const Error& error) {  // before the session: the user's errors, the same on every rank
    if (dist::rank_from_environment() == 0) std::cerr << "rn_dist: " << error.what() << '\n';
    return static_cast<int>(error.code());
  } catch (const c10::Error& error) {
    std::cerr << "rn_dist: " << app::words_for(error) << '\n';
    return static_cast<int>(ExitCode::kFailure);
  } catch (const std::exception& error) {
    std::cerr << "rn_dist: " << error.what() << '\n';
    return static_cast<int>(ExitCode::kFailure);
  }
}
