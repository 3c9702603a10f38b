#include "dist/watchdog.h"

#include <chrono>

#include "core/blocked_signals.h"
#include "core/host_name.h"
#include "dist/stop_signals.h"

namespace rn::dist {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(100);

}  // namespace

Watchdog::Watchdog(ProgressBoard& board, BadEnd& end, const LaunchEnv& env, const DistOptions& options)
    : board_(board), end_(end), options_(options), whole_world_(env.local_size == env.world_size) {
  const BlockedSignals inherited;
  thread_ = std::thread([this] { watch(); });
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
  RemoteHistory remote;
  bool recorded = false;
  auto last = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kInterval, [this] { return stopping_; })) {
    const auto now = std::chrono::steady_clock::now();
    const double elapsed = std::chrono::duration<double>(now - last).count();
    const auto rows = history.look(board_, elapsed);
    const auto others = remote.look(board_, elapsed);
    last = now;
    if (!recorded && pending_stop() == StopReason::kTerminate) recorded = end_.record_aftermath();
    act_on(judge(rows, board_.local_rank(), options_, whole_world_, others), rows, others);
  }
}

void Watchdog::act_on(const Verdict& verdict, std::span<const RowSnapshot> rows,
                      std::span<const RowSnapshot> others) {
  if (verdict.kind == Verdict::Kind::kFine) return;
  FailureReport report;
  if (verdict.culprit >= 0) {
    // As it was judged: the board's row may have moved on, a culprit ends too.
    report = report_of(rows[static_cast<std::size_t>(verdict.culprit)], verdict.code, verdict.message);
  } else if (verdict.other >= 0) {
    report = report_of(others[static_cast<std::size_t>(verdict.other)], verdict.code, verdict.message);
  } else {
    report = end_.about_me(verdict.code, verdict.message);
    report.rank = -1;
    report.pid = 0;
  }
  // Not through the log: the thread that hangs may hold its lock.
  std::string words = cat("rn_dist: error: ", verdict.message, "\nThe ranks of host ", host_name(), ":\n",
                          describe_rows(rows));
  if (!others.empty())
    words += cat("The ranks of other hosts, as they were last heard of:\n", describe_rows(others));
  end_.end(report, verdict.code, words);
}

}  // namespace rn::dist
