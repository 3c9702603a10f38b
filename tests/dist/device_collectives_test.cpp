// Collectives on a GPU as the board shows them and the watchdog judges them; the device is played by the
// test.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <vector>

#include "dist/flight_file.h"
#include "dist/flight_log.h"
#include "dist/judgement.h"
#include "dist/progress_board.h"

namespace rn::dist {
namespace {

CollectiveCall sum(ProgressBoard& board) {
  CollectiveCall call{.number = board.next_collective(), .bytes = 4096, .kind = CollectiveKind::kAllReduce};
  call.dtype = call.wire = DType::kF32;
  return call;
}

// One that its host queues; the device has it to do.
CollectiveCall queue(ProgressBoard& board) {
  const CollectiveCall call = sum(board);
  board.device_collective_queued(call);
  return call;
}

TEST(DeviceCollectivesTest, HostAndDeviceShareOneSequenceOfNumbers) {
  ProgressBoard board(LaunchEnv{});
  EXPECT_EQ(queue(board).number, 1);
  const auto on_host = sum(board);
  EXPECT_EQ(on_host.number, 2);
  EXPECT_EQ(queue(board).number, 3);
  board.collective_started(on_host);  // its thread begins it later
  EXPECT_EQ(board.mine().collective, 3) << "the last one started";
}

TEST(DeviceCollectivesTest, ARankWaitsWhileItsDeviceHasOnesToFinish) {
  ProgressBoard board(LaunchEnv{});
  const auto snapshot = [&] { return snapshot_of(board.mine(), 0); };
  for (int i = 0; i < 3; ++i) queue(board);
  EXPECT_EQ(snapshot().collective, 3);
  EXPECT_EQ(snapshot().finished_collective, 0);
  board.mine().device_finished = 2;
  EXPECT_EQ(snapshot().finished_collective, 2);
  EXPECT_TRUE(snapshot().waiting());
  board.mine().device_finished = 3;
  EXPECT_FALSE(snapshot().waiting());

  const auto on_host = sum(board);
  board.collective_started(on_host);
  EXPECT_TRUE(snapshot().waiting()) << "in one of the host";
  queue(board);
  EXPECT_EQ(snapshot().finished_collective, 3);
  board.mine().device_finished = 4;
  EXPECT_TRUE(snapshot().waiting());
  board.collective_finished(on_host);
  EXPECT_FALSE(snapshot().waiting());
  EXPECT_EQ(snapshot().finished_collective, 5);
}

TEST(DeviceCollectivesTest, WithoutADeviceTheRowIsReadAsItStands) {
  ProgressBoard board(LaunchEnv{});
  const auto first = sum(board), second = sum(board);
  board.collective_started(first);
  board.collective_finished(first);
  board.collective_started(second);
  EXPECT_EQ(snapshot_of(board.mine(), 0).collective, 2);
  EXPECT_EQ(snapshot_of(board.mine(), 0).finished_collective, 1);
}

// Rank 1 hangs while it prepares a batch; its device did all it was given. Rank 0 is ahead, and waits.
TEST(DeviceCollectivesTest, TheRankThatDidNotQueueTheNextOneIsTheCulprit) {
  std::vector<RowSnapshot> rows;
  for (int rank = 0; rank < 2; ++rank) {
    ProgressBoard board(LaunchEnv{});
    board.mine().rank = rank;
    board.begin_step(5);
    for (int i = 0; i < 4; ++i) queue(board);
    if (rank == 0) {
      for (int i = 0; i < 2; ++i) queue(board);
    } else {
      board.enter(Phase::kData);
    }
    board.mine().device_finished = 4;
    rows.push_back(snapshot_of(board.mine(), rank));
    rows.back().stalled_seconds = 40;
  }
  DistOptions options;
  options.step_deadline_seconds = options.data_deadline_seconds = 30;
  const Verdict verdict = judge(rows, /*self=*/0, options, /*whole_world=*/true);
  EXPECT_EQ(verdict.kind, Verdict::Kind::kHang);
  EXPECT_EQ(verdict.culprit, 1) << verdict.message;
  EXPECT_NE(verdict.message.find("after collective 4"), std::string::npos) << verdict.message;
  EXPECT_NE(verdict.message.find("Waiting for it: rank 0"), std::string::npos) << verdict.message;
}

TEST(DeviceCollectivesTest, StandInTheFlightRecordOnceTheHostHasFoundThemDone) {
  ProgressBoard board(LaunchEnv{});
  board.mine().rank = 0;
  board.begin_step(9);
  const auto first = queue(board);
  queue(board);
  board.mine().device_finished = 1;
  board.device_collective_found_done(first);

  std::string folder = std::filesystem::temp_directory_path() / "rn_device_collectives.XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  ASSERT_TRUE(FlightFile(folder, /*world_size=*/1).write(board));
  const auto log = read_flight_log(folder);
  ASSERT_TRUE(log && log->ranks.size() == 1);
  const FlightRank& rank = log->ranks.front();
  EXPECT_EQ(rank.started, 2);
  EXPECT_EQ(rank.finished, 1);
  ASSERT_EQ(rank.collectives.size(), 2u);
  EXPECT_TRUE(rank.collectives[0].finished());
  EXPECT_FALSE(rank.collectives[1].finished());
  EXPECT_EQ(rank.collectives[1].call.bytes, 4096u);
  EXPECT_EQ(rank.collectives[1].step, 9);
  std::filesystem::remove_all(folder);
}

TEST(DeviceCollectivesTest, AnEntryThatWasOverwrittenIsNotFinishedInItsSuccessorsPlace) {
  ProgressBoard board(LaunchEnv{});
  const auto first = queue(board);
  for (int i = 0; i < kFlightEntries; ++i) queue(board);
  board.device_collective_found_done(first);
  FlightEntry entry;
  for (int place = 0; place < kFlightEntries; ++place) {
    ASSERT_TRUE(board.flight(0).read(place, entry));
    EXPECT_FALSE(entry.finished()) << entry.call.number;
  }
}

TEST(DeviceCollectivesTest, TheMemoryThatADeviceMapsIsWholePagesWithTheRowInThem) {
  ProgressBoard board(LaunchEnv{});
  const auto memory = board.memory();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % 4096, 0u);
  EXPECT_EQ(memory.size() % 4096, 0u);
  const auto* count = reinterpret_cast<const std::byte*>(&board.mine().device_finished);
  EXPECT_GE(count, memory.data());
  EXPECT_LE(count + sizeof(std::int64_t), memory.data() + memory.size());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(count) % 8, 0u) << "one access for the device";
}

}  // namespace
}  // namespace rn::dist
