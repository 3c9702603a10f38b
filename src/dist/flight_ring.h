// The flight recorder's memory: the last collectives of one rank, beside its row on the progress board.
//
// Written by the rank's communication thread, and by who queues collectives on its GPU, each its own entries,
// without locks; readable from every process of the node whatever state the rank is in. All-zero bytes are an
// empty ring.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "dist/collective.h"
#include "dist/phase.h"

namespace rn::dist {

inline constexpr int kFlightEntries = 256;

// One collective of one rank, as read.
struct FlightEntry {
  CollectiveCall call;  // without buffer and offset
  Phase phase = Phase::kInit;
  std::int64_t step = -1;
  std::int64_t started_ns = 0;   // monotonic_ns() of the rank's node when the communication thread began it
  std::int64_t finished_ns = 0;  // 0: not finished

  bool finished() const { return finished_ns != 0; }
};

class FlightRing {
 public:
  void start(const CollectiveCall& call, Phase phase, std::int64_t step, std::int64_t now_ns) noexcept;
  struct Span {
    Phase phase;  // in which it was started
    std::int64_t started_ns;
  };
  // Nothing, and a span of no length, if the entry of `number` was overwritten since.
  Span finish(std::int64_t number, std::int64_t now_ns) noexcept;

  // Reads place 0 <= `slot` < kFlightEntries. False: empty, or being overwritten just now. Async-signal-safe.
  bool read(int slot, FlightEntry& entry) const noexcept;

 private:
  struct alignas(64) Slot {
    std::atomic<std::int64_t> number{0};  // 0: empty or being written
    std::atomic<std::int64_t> started_ns{0};
    std::atomic<std::int64_t> finished_ns{0};
    std::atomic<std::int64_t> bytes{0};
    std::atomic<std::int64_t> step{0};
    std::atomic<std::uint64_t> what{0};  // root (32 bits), kind, dtype, wire, phase (8 bits each)
  };
  static constexpr std::size_t slot_of(std::int64_t number) {
    return static_cast<std::size_t>(number) % kFlightEntries;
  }

  std::array<Slot, kFlightEntries> slots_;
};

}  // namespace rn::dist
