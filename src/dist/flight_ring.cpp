#include "dist/flight_ring.h"

namespace rn::dist {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

std::uint64_t pack(const CollectiveCall& call, Phase phase) noexcept {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(call.root)) << 32 |
         static_cast<std::uint64_t>(call.kind) << 24 | static_cast<std::uint64_t>(call.dtype) << 16 |
         static_cast<std::uint64_t>(call.wire) << 8 | static_cast<std::uint64_t>(phase);
}

void unpack(std::uint64_t what, FlightEntry& entry) noexcept {
  entry.call.root = static_cast<std::int32_t>(static_cast<std::uint32_t>(what >> 32));
  entry.call.kind = static_cast<CollectiveKind>(what >> 24 & 0xff);
  entry.call.dtype = static_cast<DType>(what >> 16 & 0xff);
  entry.call.wire = static_cast<DType>(what >> 8 & 0xff);
  entry.phase = static_cast<Phase>(what & 0xff);
}

}  // namespace

// A sequence lock whose sequence is the collective's number: a reader that finds the same number before and
// after has read one whole entry.
void FlightRing::start(const CollectiveCall& call, Phase phase, std::int64_t step,
                       std::int64_t now_ns) noexcept {
  Slot& slot = slots_[slot_of(call.number)];
  slot.number.store(0, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
  slot.started_ns.store(now_ns, kRelaxed);
  slot.finished_ns.store(0, kRelaxed);
  slot.bytes.store(static_cast<std::int64_t>(call.bytes), kRelaxed);
  slot.step.store(step, kRelaxed);
  slot.what.store(pack(call, phase), kRelaxed);
  slot.number.store(call.number, std::memory_order_release);
}

FlightRing::Span FlightRing::finish(std::int64_t number, std::int64_t now_ns) noexcept {
  Slot& slot = slots_[slot_of(number)];
  slot.finished_ns.store(now_ns, kRelaxed);
  return {static_cast<Phase>(slot.what.load(kRelaxed) & 0xff), slot.started_ns.load(kRelaxed)};
}

bool FlightRing::read(int place, FlightEntry& entry) const noexcept {
  const Slot& slot = slots_[static_cast<std::size_t>(place)];
  entry.call.number = slot.number.load(std::memory_order_acquire);
  entry.started_ns = slot.started_ns.load(kRelaxed);
  entry.finished_ns = slot.finished_ns.load(kRelaxed);
  entry.call.bytes = static_cast<std::uint64_t>(slot.bytes.load(kRelaxed));
  entry.step = slot.step.load(kRelaxed);
  unpack(slot.what.load(kRelaxed), entry);
  std::atomic_thread_fence(std::memory_order_acquire);
  return entry.call.number != 0 && slot.number.load(kRelaxed) == entry.call.number;
}

}  // namespace rn::dist
