// A small training run for session_fault_test.cpp: steps with one collective each; rank 1 misbehaves at
// step 5.
//   session_fault_rank SCENARIO RUN_DIR
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <thread>

#include "dist/session.h"

namespace {

using rn::ExitCode;
using rn::dist::Phase;

constexpr std::int64_t kFaultStep = 5;
constexpr std::int64_t kLastStep = 20;

int* volatile bad_address =
    reinterpret_cast<int*>(std::uintptr_t{16});  // volatile: the compiler must not know

void misbehave(const std::string& scenario, rn::dist::Session& session, const std::string& run_dir) {
  const auto mark = [&] { std::ofstream(run_dir + "/fault_began") << "x" << std::flush; };
  if (scenario == "data_error") throw rn::DataError("record 7 has the label 12");
  if (scenario == "hang") {
    session.board().enter(Phase::kData);
    mark();
    while (true) pause();
  }
  if (scenario == "stopped") {
    mark();
    raise(SIGSTOP);
  }
  if (scenario == "killed") raise(SIGKILL);
  if (scenario == "segv") *bad_address = 1;
  if (scenario == "exit") std::exit(0);
}

ExitCode train(const std::string& scenario, rn::dist::Session& session, const std::string& run_dir) {
  const int rank = session.env().rank;
  const std::int64_t last = scenario == "signal" ? 2000 : kLastStep;
  for (std::int64_t step = 0; step < last; ++step) {
    session.board().begin_step(step);
    if (step == kFaultStep) {
      if (rank == 1) misbehave(scenario, session, run_dir);
      if (scenario == "shared_error") throw rn::ConfigError("data.root: no such folder");
      if (scenario == "checkpoint" && rank == 0) {
        session.board().enter(Phase::kCheckpoint);
        std::this_thread::sleep_for(std::chrono::seconds(6));
      }
      if (rank == 0) std::ofstream(run_dir + "/under_way") << getpid() << std::flush;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::int64_t asked = static_cast<std::int64_t>(session.stop_requested());
    session.host().all_reduce(rn::bytes_of(std::span(&asked, 1)), rn::DType::kI64).wait();
    if (asked == 0) continue;
    std::ofstream(rn::cat(run_dir, "/stopped.", rank)) << static_cast<int>(session.stop_requested());
    return ExitCode::kRequeue;
  }
  return ExitCode::kDone;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  rn::dist::DistOptions options;
  options.backend = rn::dist::Backend::kMpi;
  options.init_deadline_seconds = 60;
  options.data_deadline_seconds = 2;
  options.step_deadline_seconds = 4;
  options.checkpoint_deadline_seconds = 30;
  rn::dist::Session session(options, 1);
  session.claim_run_folder(argv[2]);
  return rn::dist::guarded(session, [&] { return train(argv[1], session, argv[2]); });
}
