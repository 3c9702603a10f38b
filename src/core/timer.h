// Elapsed time on the steady clock.
#pragma once

#include <chrono>

namespace rn {

// Starts when made. Not thread-safe.
class Stopwatch {
 public:
  using Clock = std::chrono::steady_clock;

  Clock::duration elapsed() const { return Clock::now() - start_; }
  double seconds() const { return std::chrono::duration<double>(elapsed()).count(); }
  double milliseconds() const { return std::chrono::duration<double, std::milli>(elapsed()).count(); }

  // Starts anew and returns the seconds until now, so that laps lose no time between two calls.
  double restart() {
    const auto now = Clock::now();
    const double lap = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return lap;
  }

 private:
  Clock::time_point start_ = Clock::now();
};

}  // namespace rn
