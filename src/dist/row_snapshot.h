// A row of the progress board as it was at one moment: what the watchdog judges and the nodes tell each
// other.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "dist/phase.h"
#include "dist/process_state.h"

namespace rn::dist {

struct BoardRow;

// One rank. Plain data, the same on all ranks of a run.
struct RowSnapshot {
  int local_rank = 0;
  int rank = -1;  // global; -1 while not attached
  int pid = 0;    // 0: not attached yet
  Phase phase = Phase::kInit;
  std::int64_t step = -1;
  std::int64_t since_ns = 0;
  std::int64_t collective = 0;
  std::int64_t finished_collective = 0;
  std::int64_t collective_bytes = 0;
  std::uint32_t collective_kind = 0;
  int failed_code = 0;
  ProcessState process = ProcessState::kRunning;
  int padding = 0;             // sent with the rest
  double stalled_seconds = 0;  // since anything above `process` last changed
  double gone_seconds = 0;     // since the process was first seen gone
  // Of a rank on another node:
  double silent_seconds = 0;       // since its node was last heard; counted in stalled_seconds too
  std::array<char, 64> host = {};  // empty: this node

  bool waiting() const { return finished_collective < collective; }
};
static_assert(std::is_trivially_copyable_v<RowSnapshot> && sizeof(RowSnapshot) % 8 == 0);

RowSnapshot snapshot_of(const BoardRow& row, int local_rank);

}  // namespace rn::dist
