#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <span>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/random.h"
#include "io/file_system.h"
#include "report/trace_file.h"
#include "train/checkpoint.h"
#include "train/monitor.h"
#include "train/replica_check.h"
#include "train/resident_batches.h"
#include "train/statistics.h"
#include "train/torch_message.h"

namespace rn::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A run with a time limit asks for its stop this long before it, plus twice the slowest checkpoint and twice
// the slowest step, since a vote takes effect one step late.
constexpr double kTimeLimitMargin = 5.0;
// So long the other ranks leave failure.json to the rank that the replica check found, whose place it names.
constexpr std::chrono::milliseconds kCulpritFirst{250};
// fp16: the scale cannot go lower; the numbers are not finite for another reason.
constexpr double kSmallestLossScale = 1.0 / 1024;

// Without the sign that printf gives a NaN.
std::string number_text(double value) { return std::isnan(value) ? "nan" : cat(value); }

// Of a shard's masks in a step, whichever rank computes it.
std::uint64_t dropout_key(std::uint64_t seed, std::int64_t step, std::int64_t shard) {
  CounterRandom random(seed, Purpose::kDropout, static_cast<std::uint64_t>(step),
                       static_cast<std::uint64_t>(shard));
  const std::uint64_t high = random.next();
  return (high << 32) | random.next();
}

}  // namespace

Trainer::Trainer(const TrainerOptions& options, dist::Session& session, model::Network& net,
                 const data::Dataset& dataset, TrainState& state, StepPlan& plan,
                 io::CheckpointFolder& checkpoints, report::RunReport& report)
    : options_(options),
      session_(session),
      net_(net),
      dataset_(dataset),
      state_(state),
      plan_(plan),
      report_(report),
      total_steps_(plan.total_steps(options.train.epochs, options.train.max_steps)),
      schedule_(options.schedule, options.swa, options.optimizer.lr, plan.steps_per_epoch(), total_steps_),
      trace_(options.report, state.progress.step + 1),
      step_(net, state.params, session.communicator(), state.optimizer, state.scaler, options.precision,
            step_options()),
      vote_(session.communicator(), state.params.weights.device()),
      checkpointer_({options.checkpoint, options.identity, [this] { check_replicas(); },
                     options.check_run_folder, static_cast<double>(plan.steps_per_epoch())},
                    session.host(), session.board(), state, checkpoints, report),
      stragglers_(session),
      started_(Clock::now()),
      record_started_(started_) {
  if (!options.train.cuda_graph) return;
  const auto device = state.params.weights.device();
  graphed_.emplace(step_, session.communicator(), device, plan.shape().global_batch,
                   model::make_device_graph(device));
}

StepOptions Trainer::step_options() {
  StepOptions options = options_.step;
  options.trace = &trace_;
  options.before_shard = [this](int micro_step) {
    session_.board().enter(dist::Phase::kStep);  // many shards make a long step: each of them is progress
    const auto shard = plan_.shard_index(session_.host().rank(), micro_step);
    net_.set_dropout_key(dropout_key(options_.seed, state_.progress.step, shard));
  };
  return options;
}

ExitCode Trainer::fit() {
  const auto& images = dataset_.train;
  // Snapshots from before SWA's start are those of a run that was shorter and has been made longer.
  if (state_.swa && state_.progress.step <= schedule_.swa_start()) state_.swa->snapshots = 0;
  auto requests = plan_.requests(session_.host().rank(), state_.progress.step, total_steps_);
  const auto device = state_.params.weights.device();
  const auto dtype = state_.params.weights.scalar_type();
  std::unique_ptr<data::PrefetchLoader> loader;
  std::unique_ptr<BatchSource> batches;
  if (options_.data.on_device) {
    batches = std::make_unique<ResidentBatches>(images, options_.augment, std::move(requests), device, dtype);
  } else {
    loader = std::make_unique<data::PrefetchLoader>(images, options_.augment, options_.data.workers,
                                                    options_.data.prefetch, std::move(requests));
    batches =
        std::make_unique<LoaderBatches>(*loader, images.channels, images.height, images.width, device, dtype);
  }
  net_.train();
  record_started_ = Clock::now();
  while (state_.progress.step < total_steps_) {
    run_step(*batches);
    // The last steps' trace ends with the run's last evaluation and checkpoint.
    if (trace_.ends_with(state_.progress.step) && state_.progress.step < total_steps_) write_trace();
    if (stop_ != dist::StopReason::kNone && state_.progress.step < total_steps_) return stop(stop_);
  }
  return finish();
}

void Trainer::throw_out_of_memory(const Step& step, const std::string& details) const {
  throw Error(
      ExitCode::kFailure,
      cat("out of memory in step ", step.step + 1, " with ", plan_.shard(step, 0, 0).size(),
          " images per shard. ",
          graphed_ ? "Set train.cuda_graph: false, since a graph has memory of its own beside that of "
                     "eager steps"
                   : cat("Raise train.accumulate_steps (now ", options_.step.accumulate, ")"),
          " or lower train.global_batch (now ", plan_.shape().global_batch, "). ", details));
}

// One step and what is due after it. Every decision here is a function of the step or of the vote, so all
// ranks take it alike.
void Trainer::run_step(BatchSource& batches) {
  Progress& progress = state_.progress;
  const auto step_started = Clock::now();
  const Step step = plan_.at(progress.step);
  checkpointer_.poll();
  session_.board().begin_step(step.step + 1);  // counted from 1, as in all records
  trace_.begin_step(step.step + 1);
  const report::TraceSpan span(&trace_, "step", step.step + 1);
  Ballot ballot;
  try {
    const double lr = schedule_.at(step.step);
    ballot = graphed_ ? graphed_->run(batches, step.count, lr, /*eager=*/trace_.recording())
                      : step_.run(batches, step.count, lr);
  } catch (const c10::Error& error) {
    if (!is_out_of_memory(error)) throw;
    throw_out_of_memory(step, message_of(error));
  } catch (const std::bad_alloc&) {  // of the kernels' own buffers
    throw_out_of_memory(step, "The host has no more.");
  }
  ++progress.step;
  update_averages(step.step);
  ballot.stop_reason = static_cast<int>(wanted_stop());
  const auto earlier = start_vote(step.step, ballot);

  times_[static_cast<std::size_t>(step.step % 2)] = {
      Clock::now(), batches.take_wait_seconds(),
      graphed_ && graphed_->launched() ? 0 : step_.comm_wait_seconds()};
  if (earlier) account(*earlier);
  const bool last = progress.step == total_steps_;
  const bool evaluates = !last && is_due(options_.eval.every_epochs);
  const bool saves =
      !last &&
      (is_due(options_.checkpoint.every_epochs) ||
       (options_.checkpoint.every_steps > 0 && progress.step % options_.checkpoint.every_steps == 0));
  if (step.ends_epoch || last || evaluates || saves) {
    const report::TraceSpan drain(&trace_, "vote");
    if (const auto result = vote_.drain()) account(*result);
  }
  const double seconds = seconds_since(step_started);
  progress.seconds += seconds;
  slowest_step_seconds_ = std::max(slowest_step_seconds_, seconds);
  progress.epoch_seconds += seconds;
  if (step.ends_epoch) finish_epoch();
  if (evaluates) {
    evaluate_all(/*final=*/false);
    agree_on_stop();
  }
  const std::int64_t check_steps = options_.train.replica_check_steps;
  if (saves || checkpointer_.improved()) {
    save_checkpoint(/*last=*/false);
  } else if (!last && check_steps > 0 && progress.step % check_steps == 0) {
    check_replicas();
  }
}

void Trainer::update_averages(std::int64_t step) {
  const bool snapshot = state_.swa && schedule_.swa_snapshot_after(step);
  if (!state_.ema && !snapshot) return;
  const report::TraceSpan span(&trace_, "averages");
  if (state_.ema) state_.ema->update(step + 1, state_.params);
  if (snapshot) state_.swa->snapshot(state_.params);
}

std::optional<VoteResult> Trainer::start_vote(std::int64_t step, const Ballot& ballot) {
  const report::TraceSpan span(&trace_, "vote");
  return vote_.start(step, ballot);
}

// Collective.
void Trainer::throw_non_finite(const VoteResult& result, const std::string& what) {
  session_.board().begin_step(result.step + 1);  // a vote is read late: the report names the culprit
  throw NonFiniteError(cat("step ", result.step + 1, ": the ", what, " is not finite (loss ",
                           number_text(result.loss_sum / static_cast<double>(result.count)),
                           ", gradient norm ", number_text(result.grad_norm), "). ",
                           result.found_inf ? "This step changed no weights. " : "",
                           "Lower optimizer.lr, add schedule.warmup_epochs or train.clip_norm; ",
                           checkpointer_.last() ? "the last checkpoint is from before this step."
                                                : "the run has no checkpoint yet."));
}

void Trainer::account(const VoteResult& result) {
  Progress& progress = state_.progress;
  if (result.ran) {
    trace_.add(report::Trace::Lane::kCommunication, "vote", result.ran->start, result.ran->end,
               {{"step", result.step + 1}});
  }
  if (result.found_inf && state_.scaler.enabled() && std::isfinite(result.loss_sum) &&
      state_.scaler.scale.item<double>() >= kSmallestLossScale) {
    ++progress.skipped_steps;  // dynamic loss scaling at work: the update was skipped, the scale lowered
  } else if (result.found_inf || !std::isfinite(result.loss_sum)) {
    throw_non_finite(result, std::isfinite(result.loss_sum) ? "gradient" : "loss");
  } else if (!result.statistics_finite) {
    const std::string name = non_finite_statistic(state_.params, state_.params.statistics);
    throw_non_finite(result, cat("running statistic ", name.empty() ? "of a layer on rank 0" : name));
  }
  progress.epoch_loss_sum += result.loss_sum;
  progress.epoch_correct += result.correct;
  progress.epoch_count += result.count;
  const StepTimes& times = times_[static_cast<std::size_t>(result.step % 2)];
  record_images_ += result.count;
  ++record_steps_;
  record_data_wait_ += times.data_wait;
  record_comm_wait_ += times.comm_wait;
  if (result.stop_reason != 0) stop_ = static_cast<dist::StopReason>(result.stop_reason);

  const std::int64_t done = result.step + 1;
  if (done % options_.report.every_steps != 0 && done != total_steps_) return;
  const double seconds = std::chrono::duration<double>(times.finished - record_started_).count();
  const auto steps = static_cast<double>(record_steps_);
  report::StepRecord record;
  record.at = {done, plan_.epochs_done(done)};
  record.loss = result.loss_sum / static_cast<double>(result.count);
  record.top1 = 100.0 * static_cast<double>(result.correct) / static_cast<double>(result.count);
  record.lr = schedule_.at(result.step);
  record.images_per_second = static_cast<double>(record_images_) / seconds;
  record.data_wait_ms = 1e3 * record_data_wait_ / steps;
  record.comm_wait_ms = 1e3 * record_comm_wait_ / steps;
  record.grad_norm = result.grad_norm;
  record.loss_scale = state_.scaler.enabled() ? state_.scaler.scale.item<double>() : 0;
  report_.step(record);
  record_started_ = times.finished;
  record_images_ = record_steps_ = 0;
  record_data_wait_ = record_comm_wait_ = 0;
}

void Trainer::finish_epoch() {
  Progress& progress = state_.progress;
  const auto count = static_cast<double>(progress.epoch_count);
  report_.epoch({position(), progress.epoch_loss_sum / count,
                 100.0 * static_cast<double>(progress.epoch_correct) / count, schedule_.at(progress.step - 1),
                 progress.epoch_seconds});
  progress.epoch_loss_sum = progress.epoch_seconds = 0;
  progress.epoch_correct = progress.epoch_count = 0;
  stragglers_.end_of_epoch();
}

// During training the monitored split with raw and EMA weights; at the end every split and set of weights.
void Trainer::evaluate_all(bool final) {
  const auto started = Clock::now();
  const report::TraceSpan span(&trace_, "evaluation");
  session_.board().enter(dist::Phase::kEval);
  const bool has_val = dataset_.val.size > 0;
  const Monitor monitor(options_.checkpoint.monitor, has_val);
  const std::string monitored_weights = state_.ema ? "ema" : "raw";
  std::vector<std::string> sets = {"raw"};
  if (state_.ema) sets.push_back("ema");
  if (final && state_.swa && state_.swa->snapshots > 0) sets.push_back("swa");
  std::vector<std::pair<std::string, const data::ImageSet*>> splits;
  if (has_val && (final || monitor.split == "val")) splits.emplace_back("val", &dataset_.val);
  if (final || monitor.split == "test") splits.emplace_back("test", &dataset_.test);

  for (const auto& [split, images] : splits) {
    for (const auto& weights : sets) {
      const EvalResult result = evaluate_set(weights, split, *images);
      if (split != monitor.split || weights != monitored_weights) continue;
      Progress& progress = state_.progress;
      const double value = monitor.value(result);
      checkpointer_.settle();  // whether the best so far can be loaded
      if (std::isfinite(value) && (progress.best_step < 0 || monitor.better(value, progress.best_metric))) {
        checkpointer_.propose_best(value);
      }
    }
  }
  session_.board().begin_step(state_.progress.step);
  // A step record's images per second count its own wall time; evaluations have theirs.
  record_started_ += std::chrono::duration_cast<Clock::duration>(Clock::now() - started);
}

// Collective. An evaluation may be long, and who asked for a stop meanwhile should not wait for the two steps
// that a vote takes. After the last evaluation nothing is left to stop: the run ends anyway.
void Trainer::agree_on_stop() {
  std::array<std::int64_t, 4> askers{};  // by dist::StopReason
  askers[static_cast<std::size_t>(wanted_stop())] = 1;
  session_.host().all_reduce(bytes_of(std::span(askers)), DType::kI64).wait();
  for (std::size_t reason = 1; reason < askers.size(); ++reason) {
    if (askers[reason] > 0) stop_ = static_cast<dist::StopReason>(reason);  // later ones are more urgent
  }
}

EvalResult Trainer::evaluate_set(const std::string& weights, const std::string& split,
                                 const data::ImageSet& images) {
  const auto started = Clock::now();
  std::optional<WeightSwap> swap;
  if (weights == "ema") swap.emplace(state_.params, state_.ema->weights, state_.ema->statistics);
  if (weights == "swa") swap.emplace(state_.params, state_.swa->weights, state_.swa->statistics);
  const EvalResult result =
      evaluate(net_, images, session_.host(),
               {options_.augment, options_.data, options_.eval, options_.precision,
                state_.params.weights.device(), static_cast<std::int64_t>(dataset_.classes.size()),
                [this] { session_.board().enter(dist::Phase::kEval); }});
  report_.eval({position(), split, weights, result.top1_percent(), result.top5_percent(), result.loss(),
                result.n, seconds_since(started)});
  return result;
}

// Collective. What every rank has computed from the same sums must be the same bits; if not, no rank goes on.
void Trainer::check_replicas() {
  const report::TraceSpan span(&trace_, "replica check");
  const auto difference = find_replica_difference(state_, session_.host());
  if (!difference) return;
  const auto last = checkpointer_.last();  // collective: all ranks say the same
  const auto& culprits = difference->ranks;
  const auto rank = static_cast<std::size_t>(session_.host().rank());
  if (!culprits.empty() && std::find(culprits.begin(), culprits.end(), rank) == culprits.end()) {
    std::this_thread::sleep_for(kCulpritFirst);
  }
  throw ReplicaError(
      cat("the replicas differ after step ", state_.progress.step, ": ", difference->message,
          ". A bit was flipped in memory, or the machines compute differently; if it comes again on the same "
          "machine, have its memory tested. This state was not saved; ",
          last ? cat("the same command goes on from the checkpoint of step ", *last)
               : "the run has no checkpoint yet",
          "."));
}

// Collective. Rank 0 copies the state and training goes on; the run's last checkpoint is waited for.
void Trainer::save_checkpoint(bool last) {
  const auto started = Clock::now();
  const report::TraceSpan span(&trace_, "checkpoint");
  if (last) {
    checkpointer_.save_and_wait();
  } else {
    checkpointer_.save();
  }
  session_.board().begin_step(state_.progress.step);
  record_started_ += std::chrono::duration_cast<Clock::duration>(Clock::now() - started);
}

void Trainer::export_final_weights() {
  session_.board().enter(dist::Phase::kCheckpoint);
  if (!is_main()) return;
  if (options_.check_run_folder) options_.check_run_folder();
  const auto write = [&](const std::string& name, const torch::Tensor& weights,
                         const torch::Tensor& statistics) {
    write_weights(io::posix_file_system(), options_.run_dir + "/" + name, state_.params, weights, statistics,
                  state_.progress.step);
  };
  try {
    write("model.safetensors", state_.params.weights, state_.params.statistics);
    if (state_.ema) write("ema.safetensors", state_.ema->weights, state_.ema->statistics);
    if (state_.swa && state_.swa->snapshots > 0) {
      write("swa.safetensors", state_.swa->weights, state_.swa->statistics);
    }
  } catch (const Error& error) {
    throw Error(error.code(),
                cat("the final weights could not be written: ", error.what(), ". The checkpoint of step ",
                    state_.progress.step, " holds them: once that is mended, the same command writes them."));
  }
}

// Collective. Ends the trace, if one is being recorded: of the same steps on every rank.
void Trainer::write_trace() {
  if (!trace_.recording()) return;
  const auto started = Clock::now();
  report::write_trace(trace_.take(), session_.host(), options_.run_dir);
  record_started_ += std::chrono::duration_cast<Clock::duration>(Clock::now() - started);
}

ExitCode Trainer::stop(dist::StopReason reason) {
  if (const auto result = vote_.drain()) account(*result);
  save_checkpoint(/*last=*/true);
  write_trace();
  const ExitCode code = dist::exit_code_of(reason);
  log_info("stopped as asked after step ", state_.progress.step, " of ", total_steps_,
           "; the same command resumes there");
  report_.run_end("stopped", static_cast<int>(code),
                  {{"train_seconds", state_.progress.seconds},
                   {"checkpoints", checkpointer_.totals_json(seconds_since(started_))},
                   {"rank_times", stragglers_.totals()}});
  return code;
}

ExitCode Trainer::finish() {
  if (state_.swa && state_.swa->snapshots > 0 && state_.params.statistics.numel() > 0) {
    const report::TraceSpan span(&trace_, "re-estimated statistics");
    session_.board().enter(dist::Phase::kEval);
    reestimate_statistics(
        net_, state_.params, dataset_.train, plan_, total_steps_,
        {options_.augment, options_.data, options_.precision, options_.step.empty_shards_run,
         options_.swa.bn_images, options_.step.strict ? options_.step.accumulate : 0,
         [this] { session_.board().enter(dist::Phase::kEval); }},
        session_.communicator(), *state_.swa);
    const std::string bad = non_finite_statistic(state_.params, state_.swa->statistics);
    if (!bad.empty()) {
      throw NonFiniteError(cat("the running statistic ", bad,
                               ", estimated anew for the averaged weights (swa), is not finite. The last "
                               "checkpoint is from before; start SWA later or with a lower swa.lr."));
    }
  }
  evaluate_all(/*final=*/true);
  const Monitor monitor(options_.checkpoint.monitor, dataset_.val.size > 0);
  save_checkpoint(/*last=*/true);
  export_final_weights();
  write_trace();
  report_.run_end("done", static_cast<int>(ExitCode::kDone),
                  {{"train_seconds", state_.progress.seconds},
                   {"dataset", dataset_.name},
                   {"steps", state_.progress.step},
                   {"epochs", plan_.epochs_done(state_.progress.step)},
                   {"skipped_steps", state_.progress.skipped_steps},
                   {"best_metric", state_.progress.best_metric},
                   {"monitor", cat(monitor.split, ".", monitor.metric)},
                   {"best_step", state_.progress.best_step},
                   {"checkpoints", checkpointer_.totals_json(seconds_since(started_))},
                   {"rank_times", stragglers_.totals()}});
  return ExitCode::kDone;
}

dist::StopReason Trainer::wanted_stop() const {
  const auto asked = session_.stop_requested();
  if (asked != dist::StopReason::kNone || options_.time_limit.count() <= 0) return asked;
  const double left = options_.time_limit.count() - seconds_since(started_);
  return left < kTimeLimitMargin + 2 * (checkpointer_.slowest_seconds() + slowest_step_seconds_)
             ? dist::StopReason::kRequeue
             : asked;
}

report::Position Trainer::position() const {
  return {state_.progress.step, plan_.epochs_done(state_.progress.step)};
}

bool Trainer::is_due(double every_epochs) const {
  if (every_epochs <= 0) return false;
  const auto interval = std::max<std::int64_t>(1, steps_of(every_epochs, plan_.steps_per_epoch()));
  return state_.progress.step % interval == 0;
}

}  // namespace rn::train
