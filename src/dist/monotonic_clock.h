// The clock of the progress board and the flight recorder: one for all processes of a node.
#pragma once

#include <cstdint>
#include <ctime>

namespace rn::dist {

// Nanoseconds of CLOCK_MONOTONIC. Async-signal-safe.
inline std::int64_t monotonic_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace rn::dist
