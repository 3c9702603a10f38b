#include "dist/node_barrier.h"

#include <sched.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#include <thread>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

namespace rn::dist {
namespace {

constexpr int kSpins = 200;  // some microseconds
constexpr int kYields = 20;
constexpr long kSleepNanoseconds = 50'000'000;  // how soon a sleeper notices that it is abandoned

void pause_core() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Sleeps while `word` holds `expected`, at most kSleepNanoseconds. Works across processes.
void sleep_on(std::atomic<std::uint32_t>& word, std::uint32_t expected) {
#ifdef __linux__
  const timespec limit{0, kSleepNanoseconds};
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT, expected, &limit, nullptr, 0);
#else
  if (word.load() == expected) usleep(100);
#endif
}

void wake_all(std::atomic<std::uint32_t>& word) {
#ifdef __linux__
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
#else
  static_cast<void>(word);
#endif
}

}  // namespace

NodeBarrier::NodeBarrier(BarrierMemory& memory, int size, const std::atomic<bool>& abandoned)
    : memory_(memory),
      size_(static_cast<std::uint32_t>(size)),
      spins_(static_cast<unsigned>(size) > std::thread::hardware_concurrency() ? 0 : kSpins),
      abandoned_(abandoned) {}

bool NodeBarrier::passed(std::uint32_t generation) const {
  return memory_.generation.load(std::memory_order_acquire) != generation;
}

void NodeBarrier::wait() {
  if (abandoned_.load(std::memory_order_relaxed)) throw Abandoned{};
  const std::uint32_t generation = memory_.generation.load(std::memory_order_acquire);
  if (memory_.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    memory_.arrived.store(0,
                          std::memory_order_relaxed);  // nobody arrives at the next one before the line below
    memory_.generation.store(generation + 1);
    if (memory_.sleepers.load() > 0) wake_all(memory_.generation);
    return;
  }
  for (int i = 0; i < spins_; ++i) {
    if (passed(generation)) return;
    pause_core();
  }
  for (int i = 0; i < kYields; ++i) {
    if (passed(generation)) return;
    sched_yield();
  }
  sleep(generation);
}

void NodeBarrier::sleep(std::uint32_t generation) {
  // Announced before the last look at the generation, and the last arrival looks at the sleepers after it has
  // changed the generation (both sequentially consistent): one of the two sees the other.
  memory_.sleepers.fetch_add(1);
  while (memory_.generation.load() == generation && !abandoned_.load(std::memory_order_relaxed)) {
    sleep_on(memory_.generation, generation);
  }
  memory_.sleepers.fetch_sub(1);
  if (!passed(generation)) throw Abandoned{};
}

}  // namespace rn::dist
