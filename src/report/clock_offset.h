// How far another process's steady clock is from ours: none on one machine, anything between two.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/communicator.h"

namespace rn::report {

// One barrier as a rank sees it, nanoseconds on its own clock.
struct BarrierTimes {
  std::int64_t before = 0;
  std::int64_t after = 0;
};

struct ClockOffset {
  std::int64_t nanoseconds = 0;  // their clock minus the reference's
  std::int64_t uncertainty = 0;  // plus or minus, nanoseconds
};

// The offset of the clock of `mine` from that of `reference`, from the same barriers seen by both. Nobody
// leaves a barrier before everybody has come, so each round gives a lower and an upper bound; the result is
// the middle of the narrowest of them. Where 0 lies within the bounds the clocks are taken for one, as they
// are on one machine, and the result is exactly 0. REQUIRES: as many rounds of both, at least one.
ClockOffset clock_offset(std::span<const BarrierTimes> reference, std::span<const BarrierTimes> mine);

// Collective: `rounds` barriers. The offset of this rank's clock from rank 0's. `now`: the clock, in
// nanoseconds.
ClockOffset measure_clock_offset(Communicator& communicator, const std::function<std::int64_t()>& now,
                                 int rounds = 20);

}  // namespace rn::report
