#include "dist/session.h"

#include <algorithm>
#include <cstdint>
#include <new>
#include <optional>
#include <span>
#include <vector>

#include "core/library_error.h"
#include "core/log.h"
#include "dist/affinity.h"
#include "dist/bad_end.h"
#include "dist/device_choice.h"
#include "dist/fatal_signals.h"
#include "dist/fault_point.h"
#include "dist/mpi_communicator.h"
#include "dist/mpi_runtime.h"
#include "dist/nccl_communicator.h"
#include "dist/process_limits.h"
#include "dist/process_state.h"
#include "dist/single_communicator.h"
#include "dist/stop_signals.h"
#include "dist/watchdog.h"

namespace rn::dist {
namespace {

// A sum whose result every rank knows: a transport that loses, repeats or mixes up data is found before it
// trains.
void smoke_test(Communicator& host) {
  constexpr std::int64_t kCount = 1021;
  std::vector<std::int64_t> values(kCount);
  const std::int64_t ranks = host.world_size();
  for (std::int64_t i = 0; i < kCount; ++i) values[static_cast<std::size_t>(i)] = (host.rank() + 1) * (i + 1);
  host.all_reduce(bytes_of(std::span(values)), DType::kI64).wait();
  for (std::int64_t i = 0; i < kCount; ++i) {
    const std::int64_t expected = ranks * (ranks + 1) / 2 * (i + 1);
    if (values[static_cast<std::size_t>(i)] == expected) continue;
    throw EnvironmentError(cat("the first sum over ", ranks, " ranks is wrong: element ", i, " is ",
                               values[static_cast<std::size_t>(i)], " and not ", expected,
                               ". The transport between the ranks does not work."));
  }
}

bool peer_is_dead_or_failing(const ProgressBoard& board) {
  for (int i = 0; i < board.rows(); ++i) {
    const BoardRow& row = board.row(i);
    if (i == board.local_rank() || row.pid == 0) continue;
    if (row.failed_code != 0) return true;
    const bool finished = static_cast<Phase>(row.phase.load()) == Phase::kFinished;
    if (!finished && process_state(row.pid) == ProcessState::kGone) return true;
  }
  return false;
}

}  // namespace

struct Session::Impl {
  Impl(const DistOptions& options_, int threads_per_rank)
      : options((check_backend(options_), options_)),
        env(read_launch_env()),
        cores(claim_cores(env)),
        threads(threads_per_rank > 0 ? threads_per_rank : cores.threads),
        board(env),
        end(board, env) {}

  void connect();
  void finish();

  const DistOptions options;
  const LaunchEnv env;
  const CoreShare cores;
  const int threads;
  ProgressBoard board;
  BadEnd end;
  std::optional<Watchdog> watchdog;
  std::optional<MpiRuntime> mpi;
  std::unique_ptr<MpiCommunicator> mpi_host;  // null with one rank
  SingleCommunicator single_host;
  std::unique_ptr<DeviceCommunicator> device;  // null on the CPU
  int device_index = -1;

  Communicator& host() {
    if (mpi_host) return *mpi_host;
    return single_host;
  }
};

void Session::Impl::connect() {
  fault_point(name_of(Phase::kInit), env.rank, /*step=*/-1);
  if (env.launched) {
    mpi.emplace(env);
    // Open MPI has handlers of its own for some of these.
    install_stop_signals();
    catch_fatal_signals(end);
  }
  if (env.world_size > 1) mpi_host = std::make_unique<MpiCommunicator>(&board);
  smoke_test(host());
  board.unlink();  // every rank took part in the sum, so every rank is attached
  device_index = choose_device(options, env, host());
  if (device_index >= 0) {
    // NCCL's own limit needs a number even where the configuration sets none.
    constexpr double kDay = 24 * 3600;
    const double limit = std::min(deadline_of(Phase::kInit, options), kDay);
    device = make_nccl_communicator(host(), device_index, limit, &board);
  }
}

void Session::Impl::finish() {
  board.enter(Phase::kEnding);
  host().barrier();
  device.reset();
  mpi_host.reset();
  if (mpi) mpi->finalize();
  board.enter(Phase::kFinished);
  watchdog.reset();
  release_early_exit();
  release_fatal_signals();
}

Session::Session(const DistOptions& options, int threads_per_rank)
    : impl_(std::make_unique<Impl>(options, threads_per_rank)) {
  install_stop_signals();
  catch_fatal_signals(impl_->end);
  if (impl_->env.world_size > 1) catch_early_exit(impl_->end);
  // Before MPI_Init, which waits for every rank and would do so forever.
  impl_->watchdog.emplace(impl_->board, impl_->end, impl_->env, options);
  if (!impl_->env.hint.empty()) log_warning(impl_->env.hint);
  if (const std::string done = raise_soft_limits(); !done.empty() && impl_->env.rank == 0) log_info(done);
  if (!impl_->env.launched) {
    try {
      impl_->connect();
    } catch (...) {
      release_fatal_signals();
      throw;
    }
    return;
  }
  try {
    impl_->connect();
  } catch (const Error& error) {
    end_run(error.code(), error.what());
  } catch (const std::exception& error) {
    end_run(ExitCode::kFailure, error.what());
  }
}

Session::~Session() {
  if (impl_->mpi_host) impl_->mpi_host->abandon();
  impl_->watchdog.reset();
  release_early_exit();
  release_fatal_signals();
}

Communicator& Session::communicator() {
  if (impl_->device) return *impl_->device;
  return impl_->host();
}
Communicator& Session::host() { return impl_->host(); }
DeviceCommunicator* Session::device_communicator() { return impl_->device.get(); }
const LaunchEnv& Session::env() const { return impl_->env; }
ProgressBoard& Session::board() { return impl_->board; }
int Session::device_index() const { return impl_->device_index; }
int Session::threads() const { return impl_->threads; }

StopReason Session::stop_requested() const {
  const StopReason reason = pending_stop();
  return reason == StopReason::kTerminate && peer_is_dead_or_failing(impl_->board) ? StopReason::kNone
                                                                                   : reason;
}

void Session::end_run(ExitCode code, const std::string& message, const std::string& details) {
  FailureReport report = impl_->end.about_me(code, message);
  report.details = details;
  impl_->end.end(report, code, impl_->end.words_for(report));
}

void Session::claim_run_folder(const std::string& run_dir) {
  impl_->end.claim_run_folder(run_dir);
  if (impl_->mpi_host) impl_->mpi_host->use_run_folder(run_dir);
}
void Session::leave_run_folder() {
  impl_->end.leave_run_folder();
  if (impl_->mpi_host) impl_->mpi_host->use_run_folder("");
}

void Session::finish() { impl_->finish(); }

int guarded(Session& session, const std::function<ExitCode()>& body) {
  try {
    const ExitCode code = body();
    session.finish();
    return static_cast<int>(code);
  } catch (const LibraryError& error) {
    session.end_run(error.code(), error.what(), error.details());
  } catch (const Error& error) {
    session.end_run(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    session.end_run(ExitCode::kFailure, "out of memory on the host");
  } catch (const std::exception& error) {
    session.end_run(ExitCode::kFailure, error.what());
  } catch (...) {
    session.end_run(ExitCode::kFailure, "an exception of unknown type");
  }
}

}  // namespace rn::dist
