#include "dist/stop_signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "core/error.h"

namespace rn::dist {
namespace {

std::atomic<bool> requeue_asked{false};
std::atomic<bool> terminate_asked{false};
std::atomic<bool> interrupt_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "used in signal handlers");

void note_stop(int signal_number) {
  if (signal_number == SIGUSR1) requeue_asked = true;
  if (signal_number == SIGTERM) terminate_asked = true;
  if (signal_number == SIGINT && interrupt_asked.exchange(true))
    _exit(static_cast<int>(ExitCode::kInterrupted));
}

}  // namespace

void install_stop_signals() {
  struct sigaction action{};
  sigemptyset(&action.sa_mask);
  action.sa_handler = note_stop;
  action.sa_flags = SA_RESTART;  // no read or wait elsewhere need know of it
  for (const int number : {SIGUSR1, SIGTERM, SIGINT}) sigaction(number, &action, nullptr);
  action.sa_handler = SIG_IGN;
  for (const int number : {SIGUSR2, SIGPIPE}) sigaction(number, &action, nullptr);
}

void release_stop_signals() {
  struct sigaction action{};
  sigemptyset(&action.sa_mask);
  action.sa_handler = SIG_DFL;
  for (const int number : {SIGUSR1, SIGTERM, SIGINT}) sigaction(number, &action, nullptr);
}

StopReason pending_stop() {
  if (interrupt_asked) return StopReason::kInterrupt;
  if (terminate_asked) return StopReason::kTerminate;
  return requeue_asked ? StopReason::kRequeue : StopReason::kNone;
}

void forget_pending_stop() {
  requeue_asked = false;
  terminate_asked = false;
  interrupt_asked = false;
}

}  // namespace rn::dist
