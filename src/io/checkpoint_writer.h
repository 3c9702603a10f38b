// Writes checkpoints by a thread of its own, one at a time, so that training waits for the copy only.
//
// Threads: one thread, the owner, makes all calls and must not touch what a job's files point into once it
// has given it away. The write itself (save, set_best, prune) runs on a thread that lives as long as the
// write, receives no signals but those of its own faults, and touches nothing but the job, the folder and
// the log. The folder belongs to that thread while a write is in flight: the owner may then call the
// folder's const members, which see the old or the new state of the disk, and nothing else.
//
// A process that ends during a write, in whatever way, leaves the old or the new checkpoint, whole: that is
// the folder's promise and does not rest on the thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "io/checkpoint_folder.h"

namespace rn::io {

// What is to be written.
struct CheckpointJob {
  std::int64_t step = 0;
  std::vector<CheckpointFile> files;
  nlohmann::json values;
  bool best = false;                   // `best` is to point at it
  std::shared_ptr<const void> memory;  // owns what `files` point into; let go once it is written
};

struct CheckpointOutcome {
  std::int64_t step = 0;
  std::uint64_t bytes = 0;  // of all tensors
  double seconds = 0;       // the write, from its start to the end of the pruning
  std::string error;        // empty: published, verified and, if asked, the best one
  ExitCode code = ExitCode::kDone;

  bool written() const { return error.empty(); }
};

class CheckpointWriter {
 public:
  // Borrows `folder`. After each checkpoint that was published and verified, all but the newest `keep` and
  // the best one are removed.
  CheckpointWriter(CheckpointFolder& folder, int keep);
  // Finishes a write in flight: it is whole and good, and the run may be about to end badly.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Returns at once. REQUIRES: the outcome of the write before was taken. Throws std::system_error where the
  // system has no thread left.
  void start(CheckpointJob job);

  bool in_flight() const { return thread_.joinable(); }  // started, and its outcome not taken yet

  std::optional<CheckpointOutcome> poll();  // takes the outcome; nullopt: still being written, or nothing is
  std::optional<CheckpointOutcome> wait();  // the same, after the write; nullopt: nothing was in flight

 private:
  void write();

  CheckpointFolder& folder_;
  const int keep_;
  std::thread thread_;
  // Given from the owner to the thread by its start, and back by the join.
  CheckpointJob job_;
  CheckpointOutcome outcome_;
  std::atomic<bool> finished_{false};  // the thread is about to end: a join does not block
};

}  // namespace rn::io
