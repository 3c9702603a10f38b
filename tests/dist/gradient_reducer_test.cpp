#include "dist/gradient_reducer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "core/error.h"
#include "dist/single_communicator.h"
#include "support/faulty_communicator.h"

namespace rn::dist {
namespace {

using Kind = GradientReducer::Event::Kind;

// 12 parameters of 900 elements, two to a bucket.
FlatLayout make_layout() {
  std::vector<ParameterSpec> specs;
  for (int i = 0; i < 12; ++i) specs.push_back({cat("p", i), {900}, {1}, 0});
  return FlatLayout(std::move(specs), 2048);
}

class GradientReducerTest : public testing::Test {
 protected:
  GradientReducer make_reducer() {
    return {recorder_, layout_, bytes_of(std::span(gradient_)), DType::kF32, DType::kBF16};
  }

  // The recorded all_reduces are the layout's buckets, whole and in order.
  void expect_all_buckets_in_order(std::size_t first_call = 0) {
    ASSERT_EQ(recorder_.calls.size(), first_call + layout_.buckets().size());
    for (std::size_t b = 0; b < layout_.buckets().size(); ++b) {
      const auto& call = recorder_.calls[first_call + b];
      EXPECT_EQ(call.kind, "all_reduce");
      EXPECT_EQ(call.data, reinterpret_cast<const std::byte*>(gradient_.data() + layout_.buckets()[b].offset))
          << b;
      EXPECT_EQ(call.bytes, static_cast<std::size_t>(layout_.buckets()[b].size) * sizeof(float)) << b;
      EXPECT_EQ(call.dtype, DType::kF32);
      EXPECT_EQ(call.wire, DType::kBF16);
    }
  }

  const FlatLayout layout_ = make_layout();
  std::vector<float> gradient_ = std::vector<float>(static_cast<std::size_t>(layout_.size()));
  SingleCommunicator single_;
  test::FaultyCommunicator recorder_{single_};
};

TEST_F(GradientReducerTest, StartsBucketsInLayoutOrderWhateverTheOrderOfReady) {
  ASSERT_GE(layout_.buckets().size(), 5U);
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    std::mt19937 random(seed);
    std::vector<std::size_t> order(layout_.entries().size());
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    const std::size_t unused = random() % 4;  // the last few are frozen
    order.resize(order.size() - unused);

    recorder_.calls.clear();
    GradientReducer reducer = make_reducer();
    for (const std::size_t entry : order) reducer.ready(entry);
    reducer.finalize();
    expect_all_buckets_in_order();

    // Replays the trace: a bucket starts as soon as, and not before, it and all earlier ones are complete.
    std::vector<std::size_t> missing(layout_.buckets().size(), 0);
    for (const auto& entry : layout_.entries()) ++missing[static_cast<std::size_t>(entry.bucket)];
    std::size_t next = 0;
    bool finalized = false;
    for (const auto& event : reducer.trace()) {
      const bool due = next < missing.size() && missing[next] == 0;
      switch (event.kind) {
        case Kind::kReady:
          EXPECT_FALSE(due) << "bucket " << next << " is complete but has not started";
          --missing[static_cast<std::size_t>(layout_.entries()[event.index].bucket)];
          break;
        case Kind::kStarted:
          EXPECT_TRUE(due || finalized);
          EXPECT_EQ(event.index, next++);
          break;
        case Kind::kFinalize:
          EXPECT_FALSE(due);
          finalized = true;
          break;
      }
    }
    EXPECT_EQ(next, layout_.buckets().size());
  }
}

TEST_F(GradientReducerTest, OverlapsWithBackward) {
  GradientReducer reducer = make_reducer();
  for (std::size_t entry = 0; entry < layout_.entries().size(); ++entry) reducer.ready(entry);
  EXPECT_EQ(recorder_.calls.size(), layout_.buckets().size()) << "all buckets start before finalize";
  reducer.finalize();
  expect_all_buckets_in_order();
}

TEST_F(GradientReducerTest, ARankWithoutSamplesReducesEveryBucket) {
  GradientReducer reducer = make_reducer();
  reducer.finalize();
  expect_all_buckets_in_order();
  EXPECT_EQ(reducer.trace().front().kind, Kind::kFinalize);
}

TEST_F(GradientReducerTest, AnUnusedFirstParameterHoldsAllBucketsBackUntilFinalize) {
  GradientReducer reducer = make_reducer();
  for (std::size_t entry = 1; entry < layout_.entries().size(); ++entry) reducer.ready(entry);
  EXPECT_TRUE(recorder_.calls.empty());
  reducer.finalize();
  expect_all_buckets_in_order();
}

TEST_F(GradientReducerTest, EveryStepBeginsAfresh) {
  GradientReducer reducer = make_reducer();
  for (int step = 0; step < 3; ++step) {
    const std::size_t before = recorder_.calls.size();
    for (std::size_t entry = 0; entry < layout_.entries().size(); ++entry) {
      if (entry % 3 != static_cast<std::size_t>(step)) reducer.ready(entry);
    }
    reducer.finalize();
    expect_all_buckets_in_order(before);
    EXPECT_EQ(reducer.trace().size(), 8U + layout_.buckets().size() + 1U) << "the trace holds one step";
    EXPECT_GE(reducer.wait_seconds(), 0.0);
  }
}

TEST_F(GradientReducerTest, ReadyTwiceInOneStepIsAnError) {
  GradientReducer reducer = make_reducer();
  reducer.ready(3);
  EXPECT_THROW(reducer.ready(3), InternalError);
  EXPECT_THROW(reducer.ready(99), InternalError);
}

TEST_F(GradientReducerTest, AWrongSizeIsAnError) {
  const auto most = bytes_of(std::span(gradient_)).first(64);
  EXPECT_THROW(GradientReducer(recorder_, layout_, most, DType::kF32, DType::kF32), InternalError);
}

TEST_F(GradientReducerTest, ALostPeerEndsFinalizeWithItsError) {
  GradientReducer reducer = make_reducer();
  recorder_.fail_at(2);
  reducer.ready(0);
  EXPECT_THROW(reducer.finalize(), PeerLostError);
}

}  // namespace
}  // namespace rn::dist
