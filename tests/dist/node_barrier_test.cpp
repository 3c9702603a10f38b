#include "dist/node_barrier.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <thread>
#include <vector>

namespace rn::dist {
namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// More threads than cores on most machines, as with several ranks per core.
TEST(NodeBarrierTest, WhatIsWrittenBeforeIsSeenAfter) {
  constexpr int kThreads = 5;
  constexpr int kRounds = 2000;
  const auto memory = std::make_unique<BarrierMemory>();
  const std::atomic<bool> abandoned{false};
  std::vector<int> written(kThreads, -1);  // plain memory: only the barrier orders it
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      NodeBarrier barrier(*memory, kThreads, abandoned);
      for (int round = 0; round < kRounds; ++round) {
        written[static_cast<std::size_t>(t)] = round;
        barrier.wait();
        for (const int other : written) wrong += other != round;
        barrier.wait();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(NodeBarrierTest, WaitingForALateRankCostsNoCore) {
  const auto memory = std::make_unique<BarrierMemory>();
  const std::atomic<bool> abandoned{false};
  double used = 1e9;
  std::thread early([&] {
    NodeBarrier barrier(*memory, 2, abandoned);
    const double before = cpu_seconds();
    barrier.wait();
    used = cpu_seconds() - before;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(600));
  NodeBarrier(*memory, 2, abandoned).wait();
  early.join();
  EXPECT_LT(used, 0.1) << "of 0.6 seconds";
}

TEST(NodeBarrierTest, AnAbandonedWaitEnds) {
  const auto memory = std::make_unique<BarrierMemory>();
  std::atomic<bool> abandoned{false};
  std::atomic<bool> ended{false};
  std::thread waiter([&] {
    NodeBarrier barrier(*memory, 2, abandoned);
    EXPECT_THROW(barrier.wait(), Abandoned);
    ended = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(ended.load());
  abandoned = true;
  waiter.join();
  EXPECT_THROW(NodeBarrier(*memory, 2, abandoned).wait(), Abandoned) << "and later waits do not begin";
}

}  // namespace
}  // namespace rn::dist
