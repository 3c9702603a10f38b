// The watchdog's reasoning, as a pure function over snapshots of the board's rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/error.h"
#include "dist/options.h"
#include "dist/process_state.h"
#include "dist/progress_board.h"

namespace rn::dist {

// One rank of this node as the watchdog sees it.
struct RowSnapshot {
  int local_rank = 0;
  int rank = -1;  // global; -1 while not attached
  int pid = 0;    // 0: not attached yet
  Phase phase = Phase::kInit;
  std::int64_t step = -1;
  std::int64_t since_ns = 0;
  std::int64_t collective = 0;
  std::int64_t finished_collective = 0;
  std::uint32_t collective_kind = 0;
  std::int64_t collective_bytes = 0;
  int failed_code = 0;
  ProcessState process = ProcessState::kRunning;
  double stalled_seconds = 0;  // since anything above `process` last changed
  double gone_seconds = 0;     // since the process was first seen gone

  bool waiting() const { return finished_collective < collective; }
};

RowSnapshot snapshot_of(const BoardRow& row, int local_rank);

struct Verdict {
  enum class Kind {
    kFine,
    kHang,        // the culprit let its phase's deadline pass
    kPeerLost,    // the culprit's process vanished without a word
    kPeerFailed,  // the culprit ended badly long ago, and no launcher has ended this rank
  };
  Kind kind = Kind::kFine;
  int culprit = -1;                 // local rank; -1: on another node
  ExitCode code = ExitCode::kDone;  // the exit code of this rank
  std::string message;              // one or two sentences that name the culprit
};

// Seconds a rank may spend in a phase without any progress; infinity where the option is 0 (no deadline).
double deadline_of(Phase phase, const DistOptions& options);

// Judges the node. The culprit of a hang is the rank that has not arrived: of the lowest collective number,
// and not itself waiting in a collective. It is measured by the deadline of its own phase, so a rank that
// waits for a checkpoint of rank 0 may wait as long as checkpoints may take. `self`: the judging rank's index
// in `rows`. `whole_world`: all ranks of the run are on this node.
Verdict judge(std::span<const RowSnapshot> rows, int self, const DistOptions& options, bool whole_world);

// A table of all rows in words, a line each, for the end of a report.
std::string describe_rows(std::span<const RowSnapshot> rows);

}  // namespace rn::dist
