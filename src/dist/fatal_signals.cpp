#include "dist/fatal_signals.h"

#include <signal.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>

#include "dist/bad_end.h"

namespace rn::dist {
namespace {

constexpr std::array kFatal = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
std::atomic<BadEnd*> fault_end{nullptr};
std::atomic<BadEnd*> exit_end{nullptr};
alignas(16) std::byte alternate_stack[64 * 1024];  // SIGSTKSZ is no constant, and 8 KiB are few

void set_default(int number) {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, nullptr);
}

void on_fault(int number, siginfo_t* info, void*) {
  // si_addr has a meaning only for faults that the kernel raised, not for kill() and abort().
  const bool from_kernel = info && info->si_code > 0 && number != SIGABRT;
  if (BadEnd* end = fault_end.load()) end->end_from_signal(number, from_kernel ? info->si_addr : nullptr);
  set_default(number);
  raise(number);  // delivered when this handler returns
}

void on_exit_early() {
  BadEnd* end = exit_end.exchange(nullptr);
  if (!end) return;
  FailureReport report = end->about_me(ExitCode::kPeerLost, "");
  report.message = cat("rank ", report.rank, " left by exit() before the end of the run");
  end->end(report, ExitCode::kPeerLost, end->words_for(report));
}

}  // namespace

void catch_fatal_signals(BadEnd& end) {
  fault_end = &end;
  stack_t stack{};
  stack.ss_sp = alternate_stack;
  stack.ss_size = sizeof(alternate_stack);
  sigaltstack(&stack, nullptr);
  struct sigaction action{};
  sigemptyset(&action.sa_mask);
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int number : kFatal) sigaction(number, &action, nullptr);
}

void catch_early_exit(BadEnd& end) {
  exit_end = &end;
  static const bool registered = std::atexit(on_exit_early) == 0;
  (void)registered;
}

void release_fatal_signals() {
  if (!fault_end.exchange(nullptr)) return;
  for (const int number : kFatal) set_default(number);
  stack_t stack{};
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, nullptr);
}

void release_early_exit() { exit_end = nullptr; }

}  // namespace rn::dist
