#include "report/clock_offset.h"

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace rn::report {

ClockOffset clock_offset(std::span<const BarrierTimes> reference, std::span<const BarrierTimes> mine) {
  RN_CHECK(!mine.empty() && mine.size() == reference.size(), mine.size(), " rounds beside ",
           reference.size());
  std::int64_t lower = std::numeric_limits<std::int64_t>::min();
  std::int64_t upper = std::numeric_limits<std::int64_t>::max();
  for (std::size_t i = 0; i < mine.size(); ++i) {
    lower = std::max(lower, mine[i].before - reference[i].after);
    upper = std::min(upper, mine[i].after - reference[i].before);
  }
  if (lower <= 0 && upper >= 0) return {};
  return {lower + (upper - lower) / 2, (upper - lower + 1) / 2};
}

ClockOffset measure_clock_offset(Communicator& communicator, const std::function<std::int64_t()>& now,
                                 int rounds) {
  std::vector<BarrierTimes> mine(static_cast<std::size_t>(rounds));
  for (BarrierTimes& times : mine) {
    times.before = now();
    communicator.barrier();
    times.after = now();
  }
  std::vector<BarrierTimes> all(mine.size() * static_cast<std::size_t>(communicator.world_size()));
  communicator.all_gather(std::as_bytes(std::span(mine)), bytes_of(std::span(all))).wait();
  return clock_offset(std::span(all).first(mine.size()), mine);
}

}  // namespace rn::report
