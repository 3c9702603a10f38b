// A barrier between processes in shared memory that is fast when all are near and costs no core while one is
// late.
#pragma once

#include <atomic>
#include <cstdint>

namespace rn::dist {

// Lies in shared memory; all zero is its valid first state.
struct BarrierMemory {
  alignas(64) std::atomic<std::uint32_t> arrived;
  alignas(64) std::atomic<std::uint32_t> generation;  // counts barriers; waiters watch it
  alignas(64) std::atomic<std::uint32_t> sleepers;
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "shared between processes");

// Thrown out of a wait after `abandoned` was set: this process leaves the protocol for good.
struct Abandoned {};

class NodeBarrier {
 public:
  // Borrows both. `size` processes take part, each with one thread.
  NodeBarrier(BarrierMemory& memory, int size, const std::atomic<bool>& abandoned);

  // Returns when all have called it: spins shortly, then yields, then sleeps. What a process wrote before is
  // seen by all after. Throws Abandoned.
  void wait();

 private:
  bool passed(std::uint32_t generation) const;
  void sleep(std::uint32_t generation);

  BarrierMemory& memory_;
  const std::uint32_t size_;
  const int spins_;  // none where the processes outnumber the cores
  const std::atomic<bool>& abandoned_;
};

}  // namespace rn::dist
