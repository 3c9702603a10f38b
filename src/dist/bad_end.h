// The one way a run ends badly: mark the board, write failure.json and the flight record, say why,
// _exit(code).
//
// No MPI or NCCL call and no destructor on the way, so nothing can hang; the launcher ends the other ranks.
// Used by end_run, the watchdog, the handler of fatal signals and exit() before the end.
#pragma once

#include <atomic>
#include <string>

#include "dist/failure_report.h"
#include "dist/flight_file.h"
#include "dist/launch_env.h"
#include "dist/progress_board.h"

namespace rn::dist {

class BadEnd {
 public:
  // Borrows the board, which must outlive it.
  BadEnd(ProgressBoard& board, const LaunchEnv& env);
  BadEnd(const BadEnd&) = delete;
  BadEnd& operator=(const BadEnd&) = delete;

  // A report of this rank as it stands.
  FailureReport about_me(ExitCode code, std::string message) const;

  // Writes failure.json into the claimed folder unless there is one, prints `words` (ranks that say the same
  // print it once), and leaves. One thread ends the process; others that call it meanwhile sleep until it is
  // gone.
  [[noreturn]] void end(const FailureReport& report, ExitCode code, const std::string& words);

  // Where failure.json and the flight record go; nowhere without a claim. Called once, by one thread.
  void claim_run_folder(const std::string& run_dir);
  // No failure.json from now on: the folder is another run's.
  void leave_run_folder() noexcept { has_folder_ = false; }

  // Another node's rank has ended the run, and the launcher is about to end this one: what this node's ranks
  // were doing belongs to the record too. False where there is no failure.json yet.
  bool record_aftermath() const noexcept;

  // For handlers of fatal signals: async-signal-safe. With several ranks it leaves with code 8; with one it
  // writes failure.json (code 1) and returns, for the signal's default action to follow.
  void end_from_signal(int signal_number, const void* address) noexcept;

  // "rn_dist: error on rank 1: MESSAGE", and where failure.json lies.
  std::string words_for(const FailureReport& report) const;

 private:
  bool several_ranks() const { return world_size_ > 1; }
  bool begin() noexcept;  // false: this process is already ending

  ProgressBoard& board_;
  const int world_size_;
  FailureFile file_{""};         // constant once has_folder_ is set
  FlightFile flight_;            // the same; none for a run of one rank
  const std::string host_json_;  // prepared, since quoting is not async-signal-safe
  std::atomic<bool> ending_{false};
  std::atomic<bool> has_folder_{false};
};

}  // namespace rn::dist
