#include "train/checkpointer.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <span>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/timer.h"
#include "dist/fault_point.h"
#include "train/checkpoint.h"

namespace rn::train {

Checkpointer::Checkpointer(CheckpointerOptions options, Communicator& host, dist::ProgressBoard& board,
                           RunState& state, io::CheckpointFolder& folder, report::RunReport& report)
    : options_(std::move(options)),
      host_(host),
      board_(board),
      state_(state),
      folder_(folder),
      report_(report),
      writer_(folder, options_.checkpoint.keep) {}

void Checkpointer::propose_best(double metric) {
  RN_CHECK(!unsettled_ && !improved_, "the best result before is not saved, or not known to be");
  const Standing standing = state_.standing();
  previous_best_ = {std::exchange(standing.best_metric, metric),
                    std::exchange(standing.best_step, standing.step)};
  improved_ = true;
}

void Checkpointer::save() {
  board_.enter(dist::Phase::kCheckpoint);
  settle();
  const Stopwatch watch;
  if (options_.check_replicas) options_.check_replicas();
  MoreFiles more;
  if (options_.gather_files) more = options_.gather_files();
  unsettled_ = true;
  unsettled_best_ = std::exchange(improved_, false);
  if (!is_main() || written_step_ == state_.standing().step) return;
  start_write(std::move(more));
  add_stall(watch.seconds());
}

void Checkpointer::save_and_wait() {
  settle();
  const double stall = totals_.stall_seconds;
  save();
  settle(Must::kSucceed);
  totals_.stall_seconds = stall;
}

void Checkpointer::start_write(MoreFiles more) {
  const std::int64_t step = state_.standing().step;
  record_ = {};
  record_.at = {step, static_cast<double>(step) / options_.steps_per_epoch};
  record_.best = unsettled_best_;
  const auto fail = [&](const char* reason, ExitCode code) { ended_ = {step, 0, 0, reason, code}; };
  try {
    if (options_.check_run_folder) options_.check_run_folder();
    auto snapshot = std::make_shared<StateSnapshot>(take_snapshot(state_));
    snapshot->values["identity"] = options_.identity;
    for (const torch::Tensor& copy : snapshot->tensors) {
      const std::span bytes(static_cast<std::byte*>(copy.data_ptr()), copy.nbytes());
      dist::fault_point_data(dist::FaultData::kResult, "copy", host_.rank(), step, bytes, DType::kU8);
    }
    auto files = snapshot->files;
    files.insert(files.end(), more.files.begin(), more.files.end());
    const auto memory =
        std::make_shared<const std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(
            snapshot, more.memory);
    writer_.start({step, std::move(files), snapshot->values, unsettled_best_, memory});
  } catch (const Error& error) {
    fail(error.what(), error.code());
  } catch (const std::exception& error) {  // no memory for the copy, no thread
    fail(error.what(), ExitCode::kFailure);
  }
}

void Checkpointer::settle() { settle(Must::kNot); }

void Checkpointer::settle(Must must) {
  if (!unsettled_) return;
  board_.enter(dist::Phase::kCheckpoint);
  if (is_main()) {
    const Stopwatch watch;
    auto outcome = ended_ ? std::exchange(ended_, {}) : writer_.wait();
    if (outcome) {
      add_stall(watch.seconds());
      account(*outcome, must);
    }
  }
  std::int64_t written = written_ ? 1 : 0;
  host_.broadcast(bytes_of(std::span(&written, 1)), /*root=*/0).wait();
  if (written == 0 && unsettled_best_) {
    const Standing standing = state_.standing();
    standing.best_metric = previous_best_.metric;
    standing.best_step = previous_best_.step;
  }
  unsettled_ = unsettled_best_ = false;
}

void Checkpointer::poll() {
  if (!is_main()) return;
  auto outcome = ended_ ? std::exchange(ended_, {}) : writer_.poll();
  if (outcome) account(*outcome, Must::kNot);
}

// A folder that was taken away is the reason of whatever a write under way has met.
std::string Checkpointer::reason_of(const io::CheckpointOutcome& outcome) const {
  try {
    if (options_.check_run_folder) options_.check_run_folder();
  } catch (const Error& error) {
    return error.what();
  }
  return outcome.error;
}

// Rank 0: reports how a save ended.
void Checkpointer::account(const io::CheckpointOutcome& outcome, Must must) {
  written_ = outcome.written();
  record_.written = written_;
  record_.error = written_ ? "" : reason_of(outcome);
  record_.write_seconds = outcome.seconds;
  record_.bytes = outcome.bytes;
  report_.checkpoint(record_);
  slowest_seconds_ = std::max(slowest_seconds_, 1e-3 * record_.stall_ms + outcome.seconds);
  if (written_) {
    ++totals_.written;
    written_step_ = outcome.step;
    return;
  }
  ++totals_.failed;
  const std::string text =
      cat("the checkpoint of ", options_.unit, " ", outcome.step, " could not be written: ", record_.error,
          ". Earlier checkpoints are untouched");
  if (must == Must::kSucceed || options_.checkpoint.on_error == "stop") {
    throw Error(outcome.code, text + "; the same command goes on from the last of them.");
  }
  log_error(text, "; training goes on.");
}

std::optional<std::int64_t> Checkpointer::last() {
  std::int64_t step = -1;
  if (is_main()) {
    if (writer_.in_flight()) ended_ = writer_.wait();
    step = folder_.last().value_or(-1);
  }
  host_.broadcast(bytes_of(std::span(&step, 1)), /*root=*/0).wait();
  return step < 0 ? std::nullopt : std::optional(step);
}

nlohmann::json Checkpointer::totals_json(double run_seconds) const {
  return {{"written", totals_.written},
          {"failed", totals_.failed},
          {"stall_seconds", totals_.stall_seconds},
          {"stall_percent", run_seconds > 0 ? 100 * totals_.stall_seconds / run_seconds : 0}};
}

void Checkpointer::add_stall(double seconds) {
  record_.stall_ms += 1e3 * seconds;
  totals_.stall_seconds += seconds;
}

}  // namespace rn::train
