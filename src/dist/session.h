// The process's place in a distributed run: MPI start and finish, board, watchdog, signals, communicators, bad ends.
//
// One Session per process, made first and destroyed last: it outlives all that communicates.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/communicator.h"
#include "core/error.h"
#include "dist/launch_env.h"
#include "dist/options.h"
#include "dist/progress_board.h"

namespace rn::dist {

// Why a stop was asked for, in order of priority; the exit code follows from it.
enum class StopReason : int { kNone = 0, kRequeue = 1, kTerminate = 2, kInterrupt = 3 };

class Session {
 public:
  // Reads the launch environment, widens the core mask, attaches the board, starts MPI under a launcher, builds the
  // communicators and starts the watchdog. `run_dir`: where failure.json goes; may not exist yet.
  // `threads_per_rank` 0: the node's usable cores divided among its ranks.
  Session(const DistOptions& options, const std::string& run_dir, int threads_per_rank);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Communicator& communicator();          // where gradients travel: nccl on GPUs, else the host communicator
  Communicator& host();
  const LaunchEnv& env() const;
  ProgressBoard& board();
  int device_index() const;              // CUDA device of this rank; -1 on the CPU
  int threads() const;                   // CPU threads of this rank

  // The stop that signals have asked this rank for; the vote spreads it.
  StopReason stop_requested() const;

  // Writes failure.json (first writer wins) and ends the process with _exit(code): no MPI or NCCL call on the way, so
  // nothing can hang; the launcher ends the other ranks.
  [[noreturn]] void end_run(ExitCode code, const std::string& message);

  // All went well: barrier, MPI_Finalize. The destructor does not finalize when this was not reached.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Runs `body` and turns an exception into end_run: Error keeps its code, anything else ends with 1. A failure all
// ranks share (configuration, data) is printed by one of them. Returns body's exit code after session.finish().
int guarded(Session& session, const std::function<ExitCode()>& body);

}  // namespace rn::dist
