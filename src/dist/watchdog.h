// A thread that watches the board and ends the run when a rank of this node hangs or vanishes.
//
// It looks ten times a second. What it finds is in judgement.h; here are only the clock and the end.
#pragma once

#include <condition_variable>
#include <mutex>
#include <span>
#include <thread>

#include "dist/bad_end.h"
#include "dist/judgement.h"
#include "dist/launch_env.h"
#include "dist/options.h"
#include "dist/progress_board.h"
#include "dist/row_history.h"

namespace rn::dist {

class Watchdog {
 public:
  // Starts the thread, which receives no signals. Borrows `board` and `end`, which must outlive it.
  Watchdog(ProgressBoard& board, BadEnd& end, const LaunchEnv& env, const DistOptions& options);
  ~Watchdog();  // stops it
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void watch();
  void act_on(const Verdict& verdict, std::span<const RowSnapshot> rows, std::span<const RowSnapshot> others);

  ProgressBoard& board_;
  BadEnd& end_;
  const DistOptions options_;
  const bool whole_world_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace rn::dist
