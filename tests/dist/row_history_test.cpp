#include "dist/row_history.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace rn::dist {
namespace {

// A board of rank 0, whose node has one rank, in a run of four.
LaunchEnv first_of_four_nodes() {
  LaunchEnv env;
  env.world_size = 4;
  return env;
}

RowSnapshot row_of(int rank, std::int64_t step) {
  RowSnapshot row;
  row.rank = rank;
  row.pid = 100 + rank;
  row.step = row.collective = row.finished_collective = step;
  return row;
}

TEST(RowHistoryTest, CountsTheTimeSinceARowMovedAndForgetsLongGaps) {
  ProgressBoard board(LaunchEnv{});
  RowHistory history(1);
  history.look(board, 0.5);
  EXPECT_DOUBLE_EQ(history.look(board, 0.5)[0].stalled_seconds, 0.5);
  EXPECT_DOUBLE_EQ(history.look(board, 3600)[0].stalled_seconds, 1.5)
      << "a gap of the watcher's own counts little";
  board.begin_step(1);
  EXPECT_DOUBLE_EQ(history.look(board, 0.5)[0].stalled_seconds, 0);
  board.mine().collective++;
  EXPECT_DOUBLE_EQ(history.look(board, 0.5)[0].stalled_seconds, 0);
  EXPECT_DOUBLE_EQ(history.look(board, 0.25)[0].stalled_seconds, 0.25);
}

TEST(RemoteHistoryTest, TellsWhatWasHeardAndHowLongAgo) {
  ProgressBoard board(first_of_four_nodes());
  ASSERT_EQ(board.remote_ranks(), 4);
  RemoteHistory history;
  EXPECT_TRUE(history.look(board, 0.5).empty()) << "nothing was heard yet";
  RowSnapshot row = row_of(2, 7);
  row.stalled_seconds = 3;
  board.put_remote(row);
  auto heard = history.look(board, 0.5);
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].rank, 2);
  EXPECT_EQ(heard[0].step, 7);
  EXPECT_DOUBLE_EQ(heard[0].stalled_seconds, 3);
  EXPECT_DOUBLE_EQ(heard[0].silent_seconds, 0);
  heard = history.look(board, 0.5);
  EXPECT_DOUBLE_EQ(heard[0].stalled_seconds, 3.5) << "as far as is known it stands still";
  EXPECT_DOUBLE_EQ(heard[0].silent_seconds, 0.5);
  EXPECT_DOUBLE_EQ(history.look(board, 3600)[0].silent_seconds, 1.5)
      << "a gap of the watcher's own counts little";
  board.put_remote(row);
  EXPECT_DOUBLE_EQ(history.look(board, 0.5)[0].stalled_seconds, 3);
}

TEST(RemoteHistoryTest, WhereAllRanksAreOnOneNodeThereAreNoOthers) {
  const ProgressBoard board(LaunchEnv{});
  EXPECT_EQ(board.remote_ranks(), 0);
  EXPECT_TRUE(RemoteHistory().look(board, 0.5).empty());
}

// For the thread sanitizer as well.
TEST(RemoteHistoryTest, AReaderSeesWholeRowsWhileTheyAreWritten) {
  ProgressBoard board(first_of_four_nodes());
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (std::int64_t i = 1; !stop; ++i) board.put_remote(row_of(1, i));
  });
  RowSnapshot row;
  for (int reads = 0; reads < 20'000;) {
    if (board.read_remote(1, row) == 0) continue;
    ++reads;
    if (row.step != row.collective || row.step != row.finished_collective) {
      ADD_FAILURE() << row.step << ", " << row.collective << ", " << row.finished_collective;
      break;
    }
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace rn::dist
