#include "io/checkpoint_writer.h"

#include <exception>
#include <utility>

#include "core/blocked_signals.h"
#include "core/log.h"
#include "core/timer.h"

namespace rn::io {
namespace {

std::uint64_t bytes_of(const std::vector<CheckpointFile>& files) {
  std::uint64_t bytes = 0;
  for (const CheckpointFile& file : files) {
    for (const TensorView& tensor : file.tensors) bytes += tensor.bytes.size();
  }
  return bytes;
}

}  // namespace

CheckpointWriter::CheckpointWriter(CheckpointFolder& folder, int keep) : folder_(folder), keep_(keep) {}

CheckpointWriter::~CheckpointWriter() {
  if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::start(CheckpointJob job) {
  RN_CHECK(!in_flight(), "a checkpoint is being written already");
  job_ = std::move(job);
  outcome_ = {job_.step, bytes_of(job_.files), 0, "", ExitCode::kDone};
  finished_ = false;
  const BlockedSignals inherited;
  thread_ = std::thread([this] { write(); });
}

void CheckpointWriter::write() {
  const Stopwatch watch;
  try {
    folder_.save(job_.step, job_.files, job_.values);
    if (job_.best) folder_.set_best(job_.step);
    try {
      folder_.prune(keep_);
    } catch (const Error& error) {  // the new one is there: the next prune removes what stayed
      log_warning("an older checkpoint could not be removed: ", error.what());
    }
  } catch (const Error& error) {
    outcome_.error = error.what();
    outcome_.code = error.code();
  } catch (const std::exception& error) {
    outcome_.error = error.what();
    outcome_.code = ExitCode::kFailure;
  }
  job_ = {};
  outcome_.seconds = watch.seconds();
  finished_ = true;
}

std::optional<CheckpointOutcome> CheckpointWriter::poll() {
  if (!finished_) return std::nullopt;
  return wait();
}

std::optional<CheckpointOutcome> CheckpointWriter::wait() {
  if (!thread_.joinable()) return std::nullopt;
  thread_.join();
  finished_ = false;
  return std::exchange(outcome_, {});
}

}  // namespace rn::io
