#include "app/federated_run.h"

#include <array>
#include <chrono>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/federated_setup.h"
#include "app/run_folder.h"
#include "app/setup.h"
#include "app/torch_errors.h"
#include "app/version.h"
#include "config/derived.h"
#include "config/dump.h"
#include "core/error.h"
#include "core/log.h"
#include "core/tensor_hash.h"
#include "data/dataset.h"
#include "dist/session.h"
#include "federated/federation.h"
#include "federated/make_partition.h"
#include "federated/personal_evaluation.h"
#include "federated/plots.h"
#include "federated/simulator.h"
#include "model/flat_parameters.h"
#include "model/host_allocator.h"
#include "report/run_report.h"
#include "train/checkpoint.h"

namespace rn::app {
namespace {

using namespace federated;

constexpr double kMiB = 1024.0 * 1024.0;
// Below it a client's batches hold few classes, and their statistics are not those of the evaluation.
constexpr double kSkewedAlpha = 0.3;

SimulatorOptions simulator_options(const config::RunConfig& config, train::Precision precision,
                                   torch::Device device, const CohortShape& traffic) {
  SimulatorOptions options;
  options.federated = config.federated;
  options.eval = eval_options(config, device);
  options.checkpoint = config.checkpoint;
  options.checkpoint.monitor = config::monitor(config);
  options.data = config.data;
  options.augment = config.augment;
  options.precision = precision;
  options.lr = config.optimizer.lr;
  options.bytes_up = traffic.bytes_up;
  options.bytes_down = traffic.bytes_down;
  options.run_dir = config::run_folder(config);
  options.time_limit = std::chrono::duration<double>(config.run.time_limit_seconds);
  return options;
}

// The data and who holds what of it: a partition from a file is part of what a run is.
std::uint64_t data_hash(const data::Dataset& dataset, const Partition& partition) {
  const std::array<std::uint64_t, 2> parts = {dataset.content_hash, partition.fingerprint()};
  return tensor_hash(std::as_bytes(std::span(parts)));
}

void warn_of_batch_norm(const config::RunConfig& config, const model::FlatParameters& params) {
  const auto& fed = config.federated;
  const bool skewed = fed.partition == "labels" || fed.partition == "shards" ||
                      (fed.partition.starts_with("dirichlet") && fed.alpha < kSkewedAlpha);
  if (params.statistics.numel() == 0 || !skewed) return;
  log_warning("model.norm: batch with clients of so different labels (federated.partition: ", fed.partition,
              "): batch statistics of a client are not those of the others, and accuracy suffers. Use "
              "model.norm: group, "
              "or federated.norm_state: local with an evaluation on each client's own data.");
}

void print_plan(const config::RunConfig& config, const Partition& partition, const CohortSampler& cohorts,
                int ranks, int threads) {
  const bool is_async = config.federated.algorithm == "fedbuff";
  const auto cohort = first_cohort(config.federated, cohorts);
  std::vector<std::int64_t> work;
  for (const auto& participant : cohort.participants) work.push_back(participant.images);
  const auto schedule = longest_first(work, ranks);
  log_info("federated: ", partition.clients(), " clients with ", partition.total(), " images (",
           config.federated.partition, "), ", cohorts.wanted(),
           is_async ? cat(" in flight, ", config.federated.buffer_size, " a server step") : " a round", "; ",
           ranks, " rank(s) x ", threads, " thread(s); in round 1 at most ", schedule.longest(),
           " images on a rank, ", static_cast<int>(100 * schedule.idle_share()),
           " % of the ranks' time idle by plan");
}

}  // namespace

int federated_run(const config::RunConfig& cfg) {
  model::prepare_host_allocator();
  dist::Session session(cfg.dist, config::client_threads(cfg));
  const auto experiment = [&]() -> ExitCode {
    auto& comm = session.communicator();
    init_logging(LogLevel::kInfo, comm.rank(), comm.world_size());
    const torch::Device device = prepare_device(session);
    const auto precision = train::resolve_precision(cfg.train.precision, device);
    if (precision == train::Precision::kFP16) {
      throw ConfigError(
          "train.precision: this device would train in fp16, which needs loss scaling; set fp32");
    }
    session.board().enter(dist::Phase::kData);
    const auto dataset = data::open_dataset(cfg.data, cfg.run.seed, data::Storage::kFiles);
    const int classes = static_cast<int>(dataset->classes.size());
    const auto partition = make_partition(cfg.federated, {dataset->train.labels, classes}, cfg.run.seed);
    auto net = make_network(cfg, dataset->shape(), comm);
    net->to(device);
    model::FlatParameters params(*net, comm, kOneBucket);
    const std::uint64_t content = data_hash(*dataset, partition);
    check_ranks_agree(session, cfg, precision, params.layout(), content);
    if (!cfg.model.init_from.empty()) initialize_from(cfg.model.init_from, params);
    warn_of_batch_norm(cfg, params);

    const auto& fed = cfg.federated;
    LocalOptions local = local_options(cfg, precision);
    local.on_step = [&session] { session.board().enter(dist::Phase::kStep); };
    LocalTrainer trainer(*net, params, dataset->train, classes, local);
    const auto algorithm = make_algorithm(fed, cfg.optimizer, params, trainer);
    const CohortSampler wanted(fed,
                               {std::vector<std::int64_t>(static_cast<std::size_t>(partition.clients()), 1),
                                local.batch, local.drop_last, 0, 0},
                               cfg.run.seed);
    const PrivacyAccount privacy(fed, wanted.wanted());
    const UpdatePipeline pipeline(fed, params, cfg.run.seed, privacy.noise_multiplier());
    const CohortShape shape = cohort_shape(cfg, client_images(partition), params, pipeline);
    const CohortSampler cohorts(fed, shape, cfg.run.seed);
    const ClientRow row{algorithm->client_state_size(), pipeline.residual_size(),
                        LocalNorms(fed, *net, params)};
    FederatedState state(params, *algorithm, fed, cohorts);  // all that the run is, with the clients' rows

    const Identity identity{content,         std::string(train::name_of(precision)),
                            /*ranks=*/1,  // the bits do not depend on them
                            fed.rounds,      config::monitor(cfg),
                            resume_path(cfg)};
    session.board().enter(dist::Phase::kCheckpoint);
    RunFolder folder(config::resolve_batch(cfg, 1), identity, session);
    if (folder.outcome() == RunFolder::Outcome::kFinished) {
      if (comm.rank() == 0) std::cout << folder.finished_summary() << '\n';
      return ExitCode::kDone;
    }
    const std::string client_folder = folder.dir() + "/client_state";
    if (comm.rank() == 0) remove_row_folders(io::posix_file_system(), client_folder);
    ClientStates clients(io::posix_file_system(), partition.clients(), row.size(),
                         params.weights.scalar_type(), static_cast<std::int64_t>(fed.client_state_mib * kMiB),
                         cat(client_folder, "/rank", comm.rank()));
    auto& checkpoint = folder.checkpoint();
    if (checkpoint) train::restore(state, *checkpoint);
    train::broadcast_state(state, comm, /*root=*/0);
    clients.restore(checkpoint ? checkpoint->file(kClientFile) : nullptr, session.host());
    checkpoint.reset();  // as large as the state itself

    report::RunReport report(cfg.report, folder.dir(), comm.rank() == 0, folder.resume_step(),
                             folder.resume_step() == fed.rounds);
    auto options = simulator_options(cfg, precision, device, shape);
    options.identity = identity.to_json();
    const std::int64_t eval_batch = options.eval.batch;
    options.check_run_folder = [&] { folder.check_in_place(session); };
    options.plot_partition = [&] {
      plot_partition(folder.dir(), fed, partition, {dataset->train.labels, classes}, dataset->classes);
    };
    options.evaluate_clients = [&](double epochs, double lr) {
      return evaluate_clients(*net, dataset->train, partition, trainer, state, clients, row, session.host(),
                              {epochs, lr, local.batch, local.drop_last, eval_batch, cfg.augment, precision,
                               [&] { session.board().enter(dist::Phase::kEval); }});
    };
    Federation federation(fed, cfg.run.seed, comm, partition, cohorts, trainer, state, clients, row, pipeline,
                          privacy);
    Simulator simulator(options, session, *net, *dataset, federation, state, clients, privacy,
                        folder.checkpoints(), report);
    print_plan(cfg, partition, cohorts, comm.world_size(), session.threads());
    report.run_start(config::to_json(cfg), environment_json(session),
                     {.total_steps = fed.rounds, .steps_per_epoch = 1, .by_rounds = true});
    return simulator.run();
  };
  return dist::guarded(session, with_plain_errors(experiment));  // an exception ends it on every rank
}

}  // namespace rn::app
