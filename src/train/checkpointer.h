// Checkpoints during training: rank 0 copies the state between two steps, a thread of its own writes the
// copy.
//
// A step waits for the copy only, and for an earlier write where that is still under way: at most one is in
// flight. How a write ended is known to rank 0 first; all ranks learn it in settle(), since the best result
// is part of their state. The writing thread touches neither the state nor the communicator nor the progress
// board (see io/checkpoint_writer.h), so a slow disk is no hang of a step: only who waits for it is in the
// phase `checkpoint`, with that phase's deadline.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "dist/progress_board.h"
#include "io/checkpoint_writer.h"
#include "report/run_report.h"
#include "train/options.h"
#include "train/train_state.h"

namespace rn::train {

// What a checkpoint holds besides the state, on rank 0; empty elsewhere. The contents must stay as they are
// for as long as `memory` lives: another thread writes them while training goes on.
struct MoreFiles {
  std::vector<io::CheckpointFile> files;
  std::shared_ptr<const void> memory;
};

struct CheckpointerOptions {
  CheckpointOptions checkpoint;
  nlohmann::json identity;                  // kept in every checkpoint
  std::function<void()> check_replicas;     // collective; throws: what differs must not be saved
  std::function<void()> check_run_folder;   // rank 0, before it writes; throws Error if it must not
  double steps_per_epoch = 1;               // for records
  std::string unit = "step";                // what the state counts; for messages
  std::function<MoreFiles()> gather_files;  // collective; may be empty
};

// What checkpoints cost the thread that trains, over this part of the run; rank 0.
struct CheckpointTotals {
  std::int64_t written = 0;
  std::int64_t failed = 0;
  double stall_seconds = 0;  // training waited; the last checkpoint of the run, which all wait for, left out
};

// Not thread-safe: belongs to the thread that trains. Collective unless a member says otherwise.
class Checkpointer {
 public:
  // Borrows everything but the options.
  Checkpointer(CheckpointerOptions options, Communicator& host, dist::ProgressBoard& board, RunState& state,
               io::CheckpointFolder& folder, report::RunReport& report);

  // The state is the best so far by `metric`: the next save() is the one that `best` points to. If that save
  // fails, the result before it is the best again, since it is the best that can be loaded. REQUIRES:
  // settled, and no other proposal since the last save.
  void propose_best(double metric);
  bool improved() const { return improved_; }  // proposed, and not saved yet

  // Copies the state and goes on. A failure is reported and training goes on, or with checkpoint.on_error:
  // stop thrown by rank 0. A step that was written already is not written again.
  void save();

  // The same, and waits until it is published. Throws on rank 0 (Error, naming the step and the reason) if it
  // cannot be written, whatever checkpoint.on_error says.
  void save_and_wait();

  // Waits for the write in flight, if any; all ranks know then how it ended.
  void settle();

  // Rank 0, every step, not collective: reports a write that has ended meanwhile. Throws as save() does.
  void poll();

  // Waits for the write in flight, if any. The newest checkpoint on disk, alike on all ranks; for messages.
  std::optional<std::int64_t> last();

  const CheckpointTotals& totals() const { return totals_; }
  nlohmann::json totals_json(double run_seconds) const;        // with the stall in percent of the run
  double slowest_seconds() const { return slowest_seconds_; }  // from copy to publication; rank 0

 private:
  enum class Must { kNot, kSucceed };

  void start_write(MoreFiles more);
  void settle(Must must);
  std::string reason_of(const io::CheckpointOutcome& outcome) const;
  void account(const io::CheckpointOutcome& outcome, Must must);
  void add_stall(double seconds);
  bool is_main() const { return host_.rank() == 0; }

  const CheckpointerOptions options_;
  Communicator& host_;
  dist::ProgressBoard& board_;
  RunState& state_;
  io::CheckpointFolder& folder_;
  report::RunReport& report_;
  io::CheckpointWriter writer_;

  // Alike on all ranks:
  bool improved_ = false;
  bool unsettled_ = false;       // a save has begun, and the ranks have not been told how it ended
  bool unsettled_best_ = false;  // it is the best one
  struct Best {
    double metric = -1;
    std::int64_t step = -1;
  } previous_best_;

  // Of rank 0:
  std::optional<io::CheckpointOutcome> ended_;  // known before it was asked for: settle() or poll() takes it
  bool written_ = true;                         // how the newest save ended
  std::int64_t written_step_ = -1;              // of the newest one that was written
  report::CheckpointRecord record_;             // of the one in flight
  CheckpointTotals totals_;
  double slowest_seconds_ = 0;
};

}  // namespace rn::train
