#include "federated/simulator.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "federated/personal_evaluation.h"
#include "federated/plots.h"
#include "io/file_system.h"
#include "train/checkpoint.h"
#include "train/monitor.h"
#include "train/replica_check.h"

namespace rn::federated {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A run with a time limit asks for its stop this long before it, plus twice the slowest checkpoint and round.
constexpr double kTimeLimitMargin = 5.0;
constexpr std::size_t kHistogramBins = 10;

}  // namespace

Simulator::Simulator(const SimulatorOptions& options, dist::Session& session, model::Network& net,
                     const data::Dataset& dataset, Federation& federation, FederatedState& state,
                     ClientStates& clients, const PrivacyAccount& privacy, io::CheckpointFolder& checkpoints,
                     report::RunReport& report)
    : options_(options),
      session_(session),
      net_(net),
      dataset_(dataset),
      federation_(federation),
      state_(state),
      clients_(clients),
      privacy_(privacy),
      report_(report),
      checkpointer_({.checkpoint = options.checkpoint,
                     .identity = options.identity,
                     .check_replicas = [this] { check_replicas(); },
                     .check_run_folder = options.check_run_folder,
                     .unit = "round",
                     .gather_files = [this] { return gather_clients(); }},
                    session.host(), session.board(), state, checkpoints, report),
      started_(Clock::now()) {}

ExitCode Simulator::run() {
  if (is_main()) options_.plot_partition();
  state_.params.weights.copy_(state_.weights);  // for evaluations before the first round: of a run at its end
  state_.params.statistics.copy_(state_.statistics);
  while (state_.progress.round < options_.federated.rounds) {
    run_round();
    if (stop_ != 0 && state_.progress.round < options_.federated.rounds) return stop();
  }
  return finish();
}

// One round and what is due after it. Every decision is a function of the round or of what all ranks share.
void Simulator::run_round() {
  auto& progress = state_.progress;
  const auto started = Clock::now();
  const std::int64_t number = progress.round;
  session_.board().begin_step(number + 1);  // counted from 1, as in all records
  checkpointer_.poll();
  const double lr = local_lr(number);
  const RoundResult result = federation_.run_round(lr, wanted_stop());
  stop_ = result.stop_reason;

  report::RoundRecord record;
  record.seconds = seconds_since(started);
  record.at = position();
  record.clients = result.clients;
  record.asked = result.asked;
  record.dropped = result.dropped;
  record.late = result.late;
  record.skipped = result.skipped;
  if (state_.async) record.staleness = result.staleness;
  record.train_loss = result.train_loss;
  record.local_lr = lr;
  record.bytes_up = result.received * options_.bytes_up;
  record.bytes_down = result.asked * options_.bytes_down;
  record.update_norm = result.update_norm;
  record.mean_update_norm = result.mean_update_norm;
  record.idle_share = result.idle_share;
  record.images_per_second = result.images / record.seconds;
  record.simulated_seconds = progress.simulated_seconds;
  record.clip = progress.clip;
  if (privacy_.enabled()) record.epsilon = privacy_.epsilon(progress.round);
  progress.bytes_up += record.bytes_up;
  progress.bytes_down += record.bytes_down;
  progress.seconds += record.seconds;
  slowest_round_seconds_ = std::max(slowest_round_seconds_, record.seconds);

  const bool last = progress.round == options_.federated.rounds;
  if (!last && is_due(options_.federated.eval_every_rounds)) record.top1 = evaluate(/*final=*/false);
  report_.round(record);
  if (!last && is_due(options_.federated.personal_eval_every_rounds)) evaluate_personally();
  if (last) return;
  if (!is_due(options_.federated.checkpoint_every_rounds) && !checkpointer_.improved()) return;
  checkpointer_.save();
  session_.board().begin_step(progress.round);
}

double Simulator::local_lr(std::int64_t round) const {
  return options_.lr * std::pow(options_.federated.local_lr_decay, static_cast<double>(round));
}

// As the weights are, and with personal_epochs also after so much local training.
void Simulator::evaluate_personally() {
  session_.board().enter(dist::Phase::kEval);
  std::vector<double> tunings = {0};
  if (options_.federated.personal_epochs > 0) tunings.push_back(options_.federated.personal_epochs);
  for (const double epochs : tunings) {
    const auto started = Clock::now();
    const auto top1 = options_.evaluate_clients(epochs, local_lr(state_.progress.round));
    report::PersonalRecord record;
    record.at = position();
    record.tuned_epochs = epochs;
    record.worst_tenth = worst_tenth(top1);
    record.histogram.assign(kHistogramBins, 0);
    for (const double value : top1) {
      record.mean += value / static_cast<double>(top1.size());
      const auto bin = static_cast<std::size_t>(value / 100 * kHistogramBins);
      ++record.histogram[std::min<std::size_t>(bin, kHistogramBins - 1)];
    }
    record.seconds = seconds_since(started);
    report_.personal(record);
    if (is_main()) plot_clients(options_.run_dir, top1);
  }
  session_.board().begin_step(state_.progress.round);
}

double Simulator::evaluate(bool final) {
  session_.board().enter(dist::Phase::kEval);
  const bool has_val = dataset_.val.size > 0;
  const train::Monitor monitor(options_.checkpoint.monitor, has_val);
  double top1 = 0;
  for (const std::string split : {"val", "test"}) {
    const bool is_monitored = split == monitor.split;
    if ((split == "val" && !has_val) || !(final || is_monitored)) continue;
    const auto result = evaluate_split(split, split == "val" ? dataset_.val : dataset_.test);
    if (!is_monitored) continue;
    top1 = result.top1_percent();
    judge(split, result);
  }
  session_.board().begin_step(state_.progress.round);
  return top1;
}

train::EvalResult Simulator::evaluate_split(const std::string& split, const data::ImageSet& images) {
  const auto started = Clock::now();
  const auto result =
      train::evaluate(net_, images, session_.host(),
                      {options_.augment, options_.data, options_.eval, options_.precision,
                       state_.weights.device(), static_cast<std::int64_t>(dataset_.classes.size()),
                       [this] { session_.board().enter(dist::Phase::kEval); }});
  report_.eval({position(), split, "raw", result.top1_percent(), result.top5_percent(), result.loss(),
                result.n, seconds_since(started)});
  return result;
}

void Simulator::judge(const std::string& split, const train::EvalResult& result) {
  const train::Monitor monitor(options_.checkpoint.monitor, dataset_.val.size > 0);
  RN_CHECK(split == monitor.split);
  const auto& progress = state_.progress;
  const double value = monitor.value(result);
  checkpointer_.settle();  // whether the best so far can be loaded
  if (std::isfinite(value) && (progress.best_round < 0 || monitor.better(value, progress.best_metric))) {
    checkpointer_.propose_best(value);
  }
}

// Collective. What every rank has computed from the same sums must be the same bits; if not, no rank goes on.
void Simulator::check_replicas() {
  const auto difference = train::find_replica_difference(state_, session_.host());
  if (!difference) return;
  throw ReplicaError(
      cat("the replicas differ after round ", state_.progress.round, ": ", difference->message,
          ". A bit was flipped in memory, or the machines compute differently. This state was not "
          "saved."));
}

// The clients' rows, as they are between two rounds.
train::MoreFiles Simulator::gather_clients() {
  if (!clients_.enabled()) return {};
  GatheredRows rows = clients_.gather(session_.host());
  if (!is_main()) return {};
  return {{{kClientFile, std::move(rows.views)}}, std::move(rows.memory)};
}

void Simulator::export_weights() {
  session_.board().enter(dist::Phase::kCheckpoint);
  if (!is_main()) return;
  if (options_.check_run_folder) options_.check_run_folder();
  train::write_weights(io::posix_file_system(), options_.run_dir + "/model.safetensors", state_.params,
                       state_.weights, state_.statistics, state_.progress.round);
}

ExitCode Simulator::stop() {
  checkpointer_.save_and_wait();
  const ExitCode code = dist::exit_code_of(static_cast<dist::StopReason>(stop_));
  log_info("stopped as asked after round ", state_.progress.round, " of ", options_.federated.rounds,
           "; the same command resumes there");
  if (is_main()) plot_rounds(options_.run_dir);
  report_.run_end("stopped", static_cast<int>(code),
                  {{"train_seconds", state_.progress.seconds},
                   {"checkpoints", checkpointer_.totals_json(seconds_since(started_))}});
  return code;
}

ExitCode Simulator::finish() {
  evaluate(/*final=*/true);
  if (options_.federated.personal_eval_every_rounds > 0) evaluate_personally();
  checkpointer_.save_and_wait();
  export_weights();
  const auto& progress = state_.progress;
  nlohmann::json totals = {{"train_seconds", progress.seconds},
                           {"dataset", dataset_.name},
                           {"steps", progress.round},
                           {"rounds", progress.round},
                           {"best_metric", progress.best_metric},
                           {"monitor", options_.checkpoint.monitor},
                           {"best_step", progress.best_round},
                           {"bytes_up", progress.bytes_up},
                           {"bytes_down", progress.bytes_down},
                           {"skipped_updates", progress.skipped_updates},
                           {"simulated_seconds", progress.simulated_seconds},
                           {"checkpoints", checkpointer_.totals_json(seconds_since(started_))}};
  if (privacy_.enabled()) {
    totals["privacy"] = {{"epsilon", privacy_.epsilon(progress.round)},
                         {"delta", options_.federated.delta},
                         {"noise_multiplier", privacy_.noise_multiplier()},
                         {"sampling", name_of(privacy_.sampling())}};
  }
  if (is_main()) plot_rounds(options_.run_dir);
  report_.run_end("done", static_cast<int>(ExitCode::kDone), totals);
  return ExitCode::kDone;
}

int Simulator::wanted_stop() const {
  const auto asked = session_.stop_requested();
  if (asked != dist::StopReason::kNone || options_.time_limit.count() <= 0) return static_cast<int>(asked);
  const double left = options_.time_limit.count() - seconds_since(started_);
  const bool ends = left < kTimeLimitMargin + 2 * (checkpointer_.slowest_seconds() + slowest_round_seconds_);
  return static_cast<int>(ends ? dist::StopReason::kRequeue : asked);
}

report::Position Simulator::position() const {
  return {state_.progress.round, static_cast<double>(state_.progress.round)};
}

}  // namespace rn::federated
