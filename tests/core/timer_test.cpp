#include "core/timer.h"

#include <gtest/gtest.h>

#include <thread>

namespace rn {
namespace {

TEST(StopwatchTest, CountsFromItsStartAndFromEveryRestart) {
  Stopwatch watch;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GE(watch.milliseconds(), 20.0);
  EXPECT_GE(watch.restart(), 0.020);
  EXPECT_LT(watch.seconds(), 10.0);
  const double first = watch.seconds();
  EXPECT_LE(first, watch.seconds());
}

TEST(StopwatchTest, LapsAddUpToTheWholeTime) {
  const Stopwatch whole;
  Stopwatch laps;
  double sum = 0;
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    sum += laps.restart();
  }
  EXPECT_LE(sum, whole.seconds());
  EXPECT_GE(sum, 0.010);
}

}  // namespace
}  // namespace rn
