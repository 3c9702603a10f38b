// The vote over real ranks: what it sums, when it is read, and that all ranks stop alike.
#include <gtest/gtest.h>

#include "core/error.h"
#include "dist/stop_reason.h"
#include "train/vote.h"
#include "train_mpi_testing.h"

namespace rn::train {
namespace {

using testing::communicator;

Ballot ballot_of(int rank, std::int64_t step) {
  Ballot ballot;
  ballot.loss_sum = torch::full({}, 0.5 + rank, torch::kFloat32);
  ballot.correct = torch::full({}, rank + step, torch::kInt64);
  ballot.count = 10 + rank;
  ballot.found_inf = torch::zeros({1});
  ballot.grad_norm = torch::full({}, 2.5, torch::kFloat32);
  return ballot;
}

TEST(VoteMpiTest, SumsWhatRanksBringAndTakesOnceWhatIsAlikeOnAll) {
  const int ranks = communicator().world_size(), rank = communicator().rank();
  Vote vote(communicator(), torch::kCPU);
  EXPECT_FALSE(vote.drain().has_value());
  EXPECT_FALSE(vote.start(7, ballot_of(rank, 7)).has_value());
  const auto result = vote.drain();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->step, 7);
  double loss_sum = 0;
  std::int64_t correct = 0, count = 0;
  for (int r = 0; r < ranks; ++r) {
    loss_sum += 0.5 + r;
    correct += r + 7;
    count += 10 + r;
  }
  EXPECT_EQ(result->loss_sum, loss_sum);
  EXPECT_EQ(result->correct, correct);
  EXPECT_EQ(result->count, count);
  EXPECT_EQ(result->grad_norm, 2.5);
  EXPECT_FALSE(result->found_inf);
  EXPECT_EQ(result->stop_reason, 0);
  EXPECT_FALSE(vote.drain().has_value());
}

TEST(VoteMpiTest, EachStepReadsTheOneBeforeItAndDrainTheLast) {
  Vote vote(communicator(), torch::kCPU);
  for (int round = 0; round < 2; ++round) {  // a drained vote starts anew
    for (std::int64_t step = 0; step < 5; ++step) {
      const auto earlier = vote.start(step, ballot_of(communicator().rank(), step));
      ASSERT_EQ(earlier.has_value(), step > 0);
      if (earlier) {
        EXPECT_EQ(earlier->step, step - 1);
      }
    }
    const auto last = vote.drain();
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(last->step, 4);
  }
}

TEST(VoteMpiTest, ARankWithoutSamplesBringsNothing) {
  Vote vote(communicator(), torch::kCPU);
  const bool last = communicator().rank() == communicator().world_size() - 1;
  vote.start(0, last ? ballot_of(0, 3) : Ballot{});
  const auto result = vote.drain();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->loss_sum, 0.5);
  EXPECT_EQ(result->correct, 3);
  EXPECT_EQ(result->count, 10);
}

TEST(VoteMpiTest, TheMostUrgentReasonAskedForByAnyRankIsReadByAll) {
  const int ranks = communicator().world_size(), rank = communicator().rank();
  for (int reason = 1; reason <= 3; ++reason) {
    for (int asking = 0; asking < ranks; ++asking) {
      Vote vote(communicator(), torch::kCPU);
      Ballot ballot = ballot_of(rank, 0);
      if (rank == asking) ballot.stop_reason = reason;
      if (rank != asking && rank == 0) ballot.stop_reason = 1;  // a less urgent one beside it
      vote.start(0, ballot);
      EXPECT_EQ(vote.drain()->stop_reason, reason) << "asked by rank " << asking;
    }
  }
  EXPECT_LT(static_cast<int>(dist::StopReason::kRequeue), static_cast<int>(dist::StopReason::kTerminate));
  EXPECT_LT(static_cast<int>(dist::StopReason::kTerminate), static_cast<int>(dist::StopReason::kInterrupt));
}

TEST(VoteMpiTest, ANonFiniteLossOfOneRankIsSeenByAll) {
  Vote vote(communicator(), torch::kCPU);
  Ballot ballot = ballot_of(communicator().rank(), 0);
  if (communicator().rank() == communicator().world_size() - 1) {
    ballot.loss_sum = torch::full({}, std::numeric_limits<float>::quiet_NaN());
  }
  ballot.found_inf = torch::ones({1});
  vote.start(0, ballot);
  const auto result = vote.drain();
  EXPECT_TRUE(std::isnan(result->loss_sum));
  EXPECT_TRUE(result->found_inf);
}

TEST(VoteMpiTest, AnUnknownStopReasonIsABrokenInvariant) {
  Vote vote(communicator(), torch::kCPU);
  Ballot ballot;
  ballot.stop_reason = 4;
  EXPECT_THROW(vote.start(0, ballot), InternalError);
}

}  // namespace
}  // namespace rn::train
