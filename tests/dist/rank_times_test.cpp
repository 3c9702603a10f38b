#include "dist/rank_times.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "core/error.h"
#include "core/host_name.h"
#include "dist/single_communicator.h"

namespace rn::dist {
namespace {

constexpr auto kStep = static_cast<std::size_t>(Phase::kStep);
constexpr auto kCheckpoint = static_cast<std::size_t>(Phase::kCheckpoint);

// Ranks that trained 100 s, of which they spent so long in collectives.
std::vector<RankTimes> trained(std::initializer_list<double> in_collectives) {
  std::vector<RankTimes> times;
  for (const double seconds : in_collectives) {
    RankTimes rank;
    rank.phase[kStep] = 100;
    rank.collective[kStep] = seconds;
    rank.host = {'a'};
    times.push_back(rank);
  }
  return times;
}

TEST(StragglerTest, IsTheRankThatTheOthersWaitFor) {
  const auto found = find_straggler(trained({30, 31, 5, 29}));
  EXPECT_EQ(found.rank, 2);
  EXPECT_DOUBLE_EQ(found.late_seconds, 26);
  EXPECT_DOUBLE_EQ(found.of_seconds, 100);
  EXPECT_EQ(find_straggler(trained({4, 30})).rank, 0);
}

TEST(StragglerTest, NobodyStandsOutWhereRanksAreLateByTurns) {
  EXPECT_EQ(find_straggler(trained({30, 31, 29, 30})).rank, -1);
  EXPECT_EQ(find_straggler(trained({5, 5.1, 30, 30})).rank, -1) << "half of the ranks is no straggler";
  EXPECT_EQ(find_straggler(trained({0.001, 0.5})).rank, -1) << "too little to speak of";
  EXPECT_EQ(find_straggler(trained({10, 19})).rank, -1) << "below a tenth of the time";
  EXPECT_EQ(find_straggler(trained({10})).rank, -1);
  EXPECT_EQ(find_straggler({}).rank, -1);
}

TEST(StragglerTest, RankZeroMayTakeItsTimeForCheckpoints) {
  auto times = trained({30, 30, 30});
  times[1].collective[kCheckpoint] = times[2].collective[kCheckpoint] = 50;
  EXPECT_EQ(find_straggler(times).rank, -1);
}

TEST(StragglerTest, IsDescribedInOneLine) {
  EXPECT_EQ(
      describe_straggler(trained({30, 31, 5})),
      "rank 2 on a is slower than the others: they waited 26.0 s for it in 100.0 s of training. Its own "
      "time: data 0.0 s, step 95.0 s");
  EXPECT_EQ(describe_straggler(trained({30, 30})), "");
}

TEST(RankTimesTest, ComeFromTheBoard) {
  ProgressBoard board(LaunchEnv{});
  SingleCommunicator alone;
  board.begin_step(1);
  const auto before = gather_times(board, alone);
  CollectiveCall call;
  call.number = 1;
  call.kind = CollectiveKind::kBarrier;
  board.collective_started(call);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  board.collective_finished(call);
  board.enter(Phase::kEval);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto after = gather_times(board, alone);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(std::string(after[0].host.data()), host_name().substr(0, 63));
  const RankTimes spent = after[0] - before[0];
  EXPECT_GE(spent.phase[kStep], 0.03);
  EXPECT_LE(spent.collective[kStep], spent.phase[kStep]);
  EXPECT_GE(spent.collective[kStep], 0.03);
  EXPECT_GE(spent.phase[static_cast<std::size_t>(Phase::kEval)], 0.02);
  EXPECT_EQ(spent.phase[kCheckpoint], 0);
}

}  // namespace
}  // namespace rn::dist
