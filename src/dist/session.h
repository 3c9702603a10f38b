// The process's place in a distributed run: MPI start and finish, board, watchdog, signals, communicators,
// bad ends.
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
#include "dist/stop_reason.h"

namespace rn::dist {

class DeviceCommunicator;

class Session {
 public:
  // Reads the launch environment, widens the core mask, attaches the board, starts the watchdog, starts MPI
  // under a launcher, chooses the GPU, builds the communicators and checks them with a sum of known result.
  // `threads_per_rank` 0: the node's usable cores divided among its ranks. Call before any thread starts.
  // Throws ConfigError (dist.backend: nccl in a build without CUDA) and EnvironmentError while that can still
  // be handed to the caller; under a launcher, failures from the start of MPI on end the run like end_run.
  Session(const DistOptions& options, int threads_per_rank);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Communicator& communicator();  // where gradients travel: nccl on GPUs, else the host communicator
  Communicator& host();
  DeviceCommunicator*
  device_communicator();  // communicator() where it is NCCL's, to set its stream; else null
  const LaunchEnv& env() const;
  ProgressBoard& board();
  int device_index() const;  // CUDA device of this rank; -1 on the CPU
  int threads() const;       // CPU threads of this rank

  // The stop that signals have asked this rank for; the vote spreads it. A SIGTERM while a rank of this node
  // is dead or ending badly is the launcher clearing up, not a request.
  StopReason stop_requested() const;

  // Writes failure.json into the claimed run folder (first writer wins) and ends the process with
  // _exit(code): no MPI or NCCL call on the way, so nothing can hang; the launcher ends the other ranks.
  // `details`: for failure.json, not shown.
  [[noreturn]] void end_run(ExitCode code, const std::string& message, const std::string& details = "");

  // The folder is this run's: from here on a bad end of this rank leaves its failure.json there. Before, or
  // after leave_run_folder(), nothing is written: the folder may be another run's.
  void claim_run_folder(const std::string& run_dir);
  void leave_run_folder();

  // All went well: barrier, MPI_Finalize. Nothing may communicate afterwards; memory from the communicators
  // must be gone. The destructor does not finalize when this was not reached.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Runs `body` and turns an exception into end_run: Error keeps its code, anything else ends with 1; the
// details of a LibraryError go into failure.json. A failure all ranks of a node share (configuration, data)
// is printed by one of them. Returns body's exit code after session.finish(), which is also called for codes
// other than 0: a run that stops on request ends in order.
int guarded(Session& session, const std::function<ExitCode()>& body);

}  // namespace rn::dist
