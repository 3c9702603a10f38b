#include "dist/collective_queue.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "core/error.h"
#include "dist/node_barrier.h"

namespace rn::dist {
namespace {

// A collective whose peers never arrive: ends only when it is abandoned.
void wait_for_peers(const std::atomic<bool>& abandoned) {
  while (!abandoned.load()) std::this_thread::yield();
  throw Abandoned{};
}

class CollectiveQueueTest : public testing::Test {
 protected:
  std::atomic<bool> abandoned_{false};
};

TEST_F(CollectiveQueueTest, ExecutesInOrderOnOneThread) {
  std::vector<int> order;
  std::vector<Work> works;
  {
    CollectiveQueue queue(abandoned_);
    for (int i = 0; i < 1000; ++i) works.push_back(queue.start([&order, i] { order.push_back(i); }));
    works.back().wait();
    for (const Work& work : works) EXPECT_TRUE(work.done());
  }
  ASSERT_EQ(order.size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST_F(CollectiveQueueTest, DestroyingAWorkWaitsForIt) {
  CollectiveQueue queue(abandoned_);
  int executed = 0;
  for (int i = 0; i < 100; ++i) {
    {
      const Work work = queue.start([&] {
        std::this_thread::yield();
        ++executed;
      });
    }
    EXPECT_EQ(executed, i + 1);
  }
}

TEST_F(CollectiveQueueTest, AssigningOverAWorkWaitsForIt) {
  CollectiveQueue queue(abandoned_);
  bool executed = false;
  Work work = queue.start([&] {
    std::this_thread::yield();
    executed = true;
  });
  work = Work();
  EXPECT_TRUE(executed);
}

TEST_F(CollectiveQueueTest, TheQueueFinishesWhatWasStartedBeforeItEnds) {
  int executed = 0;
  std::vector<Work> works;
  {
    CollectiveQueue queue(abandoned_);
    for (int i = 0; i < 50; ++i) works.push_back(queue.start([&] { ++executed; }));
  }
  EXPECT_EQ(executed, 50);
}

TEST_F(CollectiveQueueTest, AfterAFailureNothingRunsAndEveryWorkThrowsTheSameError) {
  CollectiveQueue queue(abandoned_);
  bool executed = false;
  Work good = queue.start([] {});
  Work bad = queue.start([] { throw PeerLostError("cable cut"); });
  Work pending = queue.start([&] { executed = true; });
  EXPECT_NO_THROW(good.wait());
  EXPECT_THROW(bad.wait(), PeerLostError);
  EXPECT_THROW(pending.wait(), PeerLostError);
  EXPECT_THROW(queue.start([&] { executed = true; }).wait(), PeerLostError);
  EXPECT_FALSE(executed);
}

TEST_F(CollectiveQueueTest, AFailedWorkMayBeDestroyedWithoutWaiting) {
  CollectiveQueue queue(abandoned_);
  {
    const Work work = queue.start([] { throw PeerLostError("cable cut"); });
  }
  EXPECT_THROW(queue.start([] {}).wait(), PeerLostError) << "the error is not lost";
}

TEST_F(CollectiveQueueTest, AnExceptionThatUnwindsAStartedWorkDoesNotWaitForPeers) {
  CollectiveQueue queue(abandoned_);
  EXPECT_THROW(
      {
        const Work work = queue.start([this] { wait_for_peers(abandoned_); });
        throw std::runtime_error("this rank fails");
      },
      std::runtime_error);
  EXPECT_THROW(queue.start([] {}).wait(), InternalError) << "this rank takes part no more";
}

TEST_F(CollectiveQueueTest, AnExceptionThatUnwindsTheQueueDoesNotWaitForPeers) {
  Work work;
  EXPECT_THROW(
      {
        CollectiveQueue queue(abandoned_);
        work = queue.start([this] { wait_for_peers(abandoned_); });
        throw std::runtime_error("this rank fails");
      },
      std::runtime_error);
  EXPECT_TRUE(work.done());
  EXPECT_THROW(work.wait(), InternalError);
}

}  // namespace
}  // namespace rn::dist
