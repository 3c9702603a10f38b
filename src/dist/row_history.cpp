#include "dist/row_history.h"

#include <algorithm>

#include "dist/process_state.h"

namespace rn::dist {
namespace {

constexpr double kLongestLook = 1.0;

bool moved(const RowSnapshot& before, const RowSnapshot& now) {
  return before.pid != now.pid || before.phase != now.phase || before.step != now.step ||
         before.since_ns != now.since_ns || before.collective != now.collective ||
         before.finished_collective != now.finished_collective || before.failed_code != now.failed_code;
}

}  // namespace

RowSnapshot snapshot_of(const BoardRow& row, int local_rank) {
  RowSnapshot snapshot;
  snapshot.local_rank = local_rank;
  snapshot.pid = row.pid.load();
  snapshot.rank = row.rank.load();
  snapshot.phase = static_cast<Phase>(row.phase.load());
  snapshot.step = row.step.load();
  snapshot.since_ns = row.since_ns.load();
  snapshot.finished_collective = row.finished_collective.load();
  snapshot.collective = row.collective.load();
  if (const auto queued = row.device_collectives.load(); queued > 0) {
    const bool in_host = snapshot.finished_collective < row.host_collective.load();
    const std::int64_t open = queued - row.device_finished.load() + (in_host ? 1 : 0);
    // Read one after the other while the rank goes on, so they need not fit together.
    snapshot.finished_collective =
        std::clamp<std::int64_t>(snapshot.collective - open, 0, snapshot.collective);
  }
  snapshot.collective_kind = row.collective_kind.load();
  snapshot.collective_bytes = row.collective_bytes.load();
  snapshot.failed_code = row.failed_code.load();
  return snapshot;
}

std::span<const RowSnapshot> RowHistory::look(const ProgressBoard& board, double elapsed) {
  elapsed = std::min(elapsed, kLongestLook);
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const int local_rank = static_cast<int>(i);
    RowSnapshot now = snapshot_of(board.row(local_rank), local_rank);
    const RowSnapshot& before = rows_[i];
    if (!moved(before, now)) now.stalled_seconds = before.stalled_seconds + elapsed;
    if (now.pid != 0) {
      now.process = process_state(now.pid);
      // In a container of its own a rank's process may be invisible from here: only one that was seen can
      // vanish.
      if (now.process != ProcessState::kGone) seen_alive_[i] = true;
      if (!seen_alive_[i]) now.process = ProcessState::kRunning;
      if (now.process == ProcessState::kGone && before.process == ProcessState::kGone) {
        now.gone_seconds = before.gone_seconds + elapsed;
      }
    }
    rows_[i] = now;
  }
  return rows_;
}

std::span<const RowSnapshot> RemoteHistory::look(const ProgressBoard& board, double elapsed) {
  elapsed = std::min(elapsed, kLongestLook);
  ranks_.resize(static_cast<std::size_t>(board.remote_ranks()));
  heard_.clear();
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    Rank& rank = ranks_[r];
    RowSnapshot now;
    const auto report = board.read_remote(static_cast<int>(r), now);
    if (report != 0 && report != rank.report) {
      rank = {now, report, 0};
    } else if (rank.report != 0) {
      rank.silent_seconds += elapsed;
    } else {
      continue;
    }
    heard_.push_back(rank.row);
    heard_.back().stalled_seconds += rank.silent_seconds;
    heard_.back().silent_seconds = rank.silent_seconds;
  }
  return heard_;
}

}  // namespace rn::dist
