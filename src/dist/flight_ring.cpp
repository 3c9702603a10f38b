#include "dist/flight_ring.h"

namespace rn::dist {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

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
// after has read one whole entry. Release and acquire on the fields, not fences, which ThreadSanitizer does
// not know: a reader that has seen a new field sees the number that was taken away before it.
void FlightRing::start(const CollectiveCall& call, Phase phase, std::int64_t step,
                       std::int64_t now_ns) noexcept {
  Slot& slot = slots_[slot_of(call.number)];
  slot.number.exchange(0, std::memory_order_acq_rel);
  slot.started_ns.store(now_ns, kRelease);
  slot.finished_ns.store(0, kRelease);
  slot.bytes.store(static_cast<std::int64_t>(call.bytes), kRelease);
  slot.step.store(step, kRelease);
  slot.what.store(pack(call, phase), kRelease);
  slot.number.store(call.number, kRelease);
}

FlightRing::Span FlightRing::finish(std::int64_t number, std::int64_t now_ns) noexcept {
  Slot& slot = slots_[slot_of(number)];
  if (slot.number.load(kRelaxed) != number) return {Phase::kInit, now_ns};
  slot.finished_ns.store(now_ns, kRelease);
  return {static_cast<Phase>(slot.what.load(kRelaxed) & 0xff), slot.started_ns.load(kRelaxed)};
}

bool FlightRing::read(int place, FlightEntry& entry) const noexcept {
  const Slot& slot = slots_[static_cast<std::size_t>(place)];
  entry.call.number = slot.number.load(kAcquire);
  entry.started_ns = slot.started_ns.load(kAcquire);
  entry.finished_ns = slot.finished_ns.load(kAcquire);
  entry.call.bytes = static_cast<std::uint64_t>(slot.bytes.load(kAcquire));
  entry.step = slot.step.load(kAcquire);
  unpack(slot.what.load(kAcquire), entry);
  return entry.call.number != 0 && slot.number.load(kRelaxed) == entry.call.number;
}

}  // namespace rn::dist
