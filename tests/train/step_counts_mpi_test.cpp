// What a step costs in communication, as counts: they hold on any machine, loaded or not.
#include <gtest/gtest.h>

#include "support/faulty_communicator.h"
#include "train/vote.h"
#include "train_mpi_testing.h"

namespace rn::train {
namespace {

using Call = test::FaultyCommunicator::Call;

class StepCountsMpiTest : public ::testing::Test {
 protected:
  static testing::RigOptions options() {
    testing::RigOptions options;
    options.model = testing::narrow_resnet(model::Norm::kBatch);
    options.dtype = torch::kFloat32;
    return options;
  }

  // The collectives of one step with its vote, read at the end of the next as the trainer does.
  std::vector<Call> next_step() {
    recorder_.calls.clear();
    Ballot ballot = rig_.step.run(rig_.batches, kBatch, /*lr=*/0.01);
    vote_.start(step_++, ballot);
    return recorder_.calls;
  }

  static std::size_t bytes_of_all(const std::vector<Call>& calls) {
    std::size_t bytes = 0;
    for (const Call& call : calls) bytes += call.bytes;
    return bytes;
  }

  static constexpr std::int64_t kBatch = 8;
  const data::ImageSet images_ = testing::random_images(64, /*seed=*/5);
  test::FaultyCommunicator recorder_{testing::communicator()};
  StepPlan plan_{{images_.size, kBatch, recorder_.world_size(), 1, false}, /*seed=*/5, {}, 16, 16};
  testing::Rig rig_{recorder_, images_, options(), testing::step_plan(plan_)};
  Vote vote_{recorder_, torch::kCPU};
  std::int64_t step_ = 0;
};

TEST_F(StepCountsMpiTest, AStepStartsOneSumPerBucketOneOfTheStatisticsAndTheVote) {
  const auto& buckets = rig_.params.layout().buckets();
  ASSERT_GE(buckets.size(), 5U);
  const std::size_t bytes = rig_.params.gradient.nbytes() + rig_.params.statistics.nbytes();
  for (int step = 0; step < 4; ++step) {
    const auto calls = next_step();
    ASSERT_EQ(calls.size(), buckets.size() + 2) << "step " << step;
    for (const Call& call : calls) EXPECT_EQ(call.kind, "all_reduce");
    EXPECT_EQ(calls.back().dtype, DType::kF64);
    EXPECT_LE(calls.back().bytes, 128U) << "the vote grows";
    EXPECT_EQ(bytes_of_all(calls) - calls.back().bytes, bytes);
  }
  vote_.drain();
}

TEST_F(StepCountsMpiTest, TheGradientIsSummedWhereItLiesAndEveryStepUsesTheSameMemory) {
  const auto* begin = static_cast<const std::byte*>(rig_.params.gradient.const_data_ptr());
  const auto* end = begin + rig_.params.gradient.nbytes();
  const auto first = next_step(), second = next_step();
  std::size_t in_place = 0;
  for (const Call& call : first) {
    if (call.data >= begin && call.data + call.bytes <= end) in_place += call.bytes;
  }
  EXPECT_EQ(in_place, rig_.params.gradient.nbytes());
  for (int step = 2; step < 6; ++step) {
    const auto calls = next_step();
    const auto& expected = step % 2 == 0 ? first : second;  // the vote has two places
    ASSERT_EQ(calls.size(), expected.size());
    for (std::size_t i = 0; i < calls.size(); ++i) EXPECT_EQ(calls[i].data, expected[i].data) << i;
  }
  vote_.drain();
}

TEST_F(StepCountsMpiTest, TracedBucketsRanOneAfterAnotherOnceTheyWereStarted) {
  next_step();
  const auto& times = rig_.step.reducer().bucket_times();
  ASSERT_EQ(times.size(), rig_.params.layout().buckets().size());
  for (std::size_t i = 0; i < times.size(); ++i) {
    ASSERT_TRUE(times[i].ran) << i;
    EXPECT_LE(times[i].started, times[i].ran->start);
    EXPECT_LE(times[i].ran->start, times[i].ran->end);
    if (i > 0) {
      EXPECT_LE(times[i - 1].ran->end, times[i].ran->start);
    }
  }
  vote_.drain();
}

}  // namespace
}  // namespace rn::train
