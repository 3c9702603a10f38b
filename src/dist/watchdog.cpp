#include "dist/watchdog.h"

#include <signal.h>

#include <algorithm>
#include <chrono>

#include "core/host_name.h"
#include "dist/stop_signals.h"

namespace rn::dist {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(100);

bool moved(const RowSnapshot& before, const RowSnapshot& now) {
  return before.pid != now.pid || before.phase != now.phase || before.step != now.step ||
         before.since_ns != now.since_ns || before.collective != now.collective ||
         before.finished_collective != now.finished_collective || before.failed_code != now.failed_code;
}

}  // namespace

std::span<const RowSnapshot> RowHistory::look(const ProgressBoard& board, double elapsed) {
  elapsed = std::min(elapsed, 1.0);
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

Watchdog::Watchdog(ProgressBoard& board, BadEnd& end, const LaunchEnv& env, const DistOptions& options)
    : board_(board), end_(end), options_(options), whole_world_(env.local_size == env.world_size) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited: no handler ever runs on the watchdog's thread
  thread_ = std::thread([this] { watch(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_one();
  thread_.join();
}

void Watchdog::watch() {
  RowHistory history(board_.rows());
  bool recorded = false;
  auto last = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kInterval, [this] { return stopping_; })) {
    const auto now = std::chrono::steady_clock::now();
    const auto rows = history.look(board_, std::chrono::duration<double>(now - last).count());
    last = now;
    if (!recorded && pending_stop() == StopReason::kTerminate) recorded = end_.record_aftermath();
    act_on(judge(rows, board_.local_rank(), options_, whole_world_), rows);
  }
}

void Watchdog::act_on(const Verdict& verdict, std::span<const RowSnapshot> rows) {
  if (verdict.kind == Verdict::Kind::kFine) return;
  FailureReport report;
  if (verdict.culprit >= 0) {
    report = report_of(board_.row(verdict.culprit), verdict.code, verdict.message);
  } else {
    report = end_.about_me(verdict.code, verdict.message);
    report.rank = -1;
    report.pid = 0;
  }
  // Not through the log: the thread that hangs may hold its lock.
  const std::string words = cat("rn_dist: error: ", verdict.message, "\nThe ranks of host ", host_name(),
                                ":\n", describe_rows(rows));
  end_.end(report, verdict.code, words);
}

}  // namespace rn::dist
