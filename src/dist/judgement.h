// The watchdog's reasoning, as a pure function over snapshots of the board's rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/error.h"
#include "dist/options.h"
#include "dist/row_snapshot.h"

namespace rn::dist {

struct Verdict {
  enum class Kind {
    kFine,
    kHang,        // the culprit let its phase's deadline pass
    kPeerLost,    // the culprit's process vanished without a word
    kPeerFailed,  // the culprit ended badly long ago, and no launcher has ended this rank
  };
  Kind kind = Kind::kFine;
  int culprit = -1;                 // local rank; -1: on another node
  int other = -1;                   // then its index in `others`; -1: not known
  ExitCode code = ExitCode::kDone;  // the exit code of this rank
  std::string message;              // one or two sentences that name the culprit
};

// Seconds a rank may spend in a phase without any progress; infinity where the option is 0 (no deadline).
double deadline_of(Phase phase, const DistOptions& options);

// Judges the node. The culprit of a hang is the rank that has not arrived: of the lowest collective number,
// and not itself waiting in a collective. It is measured by the deadline of its own phase, so a rank that
// waits for a checkpoint of rank 0 may wait as long as checkpoints may take. `self`: the judging rank's index
// in `rows`. `whole_world`: all ranks of the run are on this node. `others`: what is known of those on other
// nodes; their own node sees more and should speak first, so they are judged only where all ranks here wait,
// and later.
Verdict judge(std::span<const RowSnapshot> rows, int self, const DistOptions& options, bool whole_world,
              std::span<const RowSnapshot> others = {});

// A table of all rows in words, a line each, for the end of a report.
std::string describe_rows(std::span<const RowSnapshot> rows);

}  // namespace rn::dist
