// The flight recorder from end to end: ring, file, reader, and what is said about it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "core/host_name.h"
#include "dist/bad_end.h"
#include "dist/flight_analysis.h"
#include "dist/flight_file.h"
#include "dist/flight_log.h"
#include "dist/flight_ring.h"
#include "dist/progress_board.h"

namespace rn::dist {
namespace {

namespace fs = std::filesystem;

CollectiveCall call_of(std::int64_t number, CollectiveKind kind = CollectiveKind::kAllReduce,
                       std::uint64_t bytes = 4096, DType dtype = DType::kF32) {
  CollectiveCall call;
  call.number = number;
  call.kind = kind;
  call.bytes = bytes;
  call.dtype = call.wire = dtype;
  return call;
}

std::vector<FlightEntry> entries_of(const FlightRing& ring) {
  std::vector<FlightEntry> entries;
  FlightEntry entry;
  for (int place = 0; place < kFlightEntries; ++place) {
    if (ring.read(place, entry)) entries.push_back(entry);
  }
  return entries;
}

TEST(FlightRingTest, StartsEmpty) {
  const auto ring = std::make_unique<FlightRing>();
  EXPECT_TRUE(entries_of(*ring).empty());
}

TEST(FlightRingTest, KeepsWhatACollectiveWas) {
  const auto ring = std::make_unique<FlightRing>();
  CollectiveCall call = call_of(7, CollectiveKind::kBroadcast, 12345, DType::kU8);
  call.root = 3;
  ring->start(call, Phase::kEval, 120, 1000);
  auto entries = entries_of(*ring);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_FALSE(entries[0].finished());
  const auto span = ring->finish(7, 2500);
  EXPECT_EQ(span.phase, Phase::kEval);
  EXPECT_EQ(span.started_ns, 1000);
  entries = entries_of(*ring);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_TRUE(same_call(entries[0].call, call));
  EXPECT_EQ(entries[0].phase, Phase::kEval);
  EXPECT_EQ(entries[0].step, 120);
  EXPECT_EQ(entries[0].started_ns, 1000);
  EXPECT_EQ(entries[0].finished_ns, 2500);
}

TEST(FlightRingTest, HoldsTheLastOnes) {
  const auto ring = std::make_unique<FlightRing>();
  for (std::int64_t n = 1; n <= 1000; ++n) {
    ring->start(call_of(n), Phase::kStep, n / 3, n * 10);
    ring->finish(n, n * 10 + 5);
  }
  const auto entries = entries_of(*ring);
  ASSERT_EQ(entries.size(), static_cast<std::size_t>(kFlightEntries));
  for (const auto& entry : entries) {
    EXPECT_GT(entry.call.number, 1000 - kFlightEntries);
    EXPECT_EQ(entry.finished_ns, entry.call.number * 10 + 5);
  }
}

TEST(FlightRingTest, AReaderNeverSeesHalfAnEntry) {
  const auto ring = std::make_unique<FlightRing>();
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::int64_t n = 1; n <= 200'000; ++n) {
      // Every field follows from the number.
      ring->start(call_of(n, static_cast<CollectiveKind>(1 + n % 5), static_cast<std::uint64_t>(3 * n)),
                  Phase::kStep, 2 * n, 5 * n);
    }
    done = true;
  });
  std::int64_t read = 0;
  FlightEntry entry;
  while (!done) {
    for (int place = 0; place < kFlightEntries; ++place) {
      if (!ring->read(place, entry)) continue;
      ++read;
      const std::int64_t n = entry.call.number;
      ASSERT_EQ(entry.call.bytes, static_cast<std::uint64_t>(3 * n));
      ASSERT_EQ(entry.step, 2 * n);
      ASSERT_EQ(entry.started_ns, 5 * n);
      ASSERT_EQ(entry.call.kind, static_cast<CollectiveKind>(1 + n % 5));
    }
  }
  writer.join();
  EXPECT_GT(read, 0);
}

class FlightFileTest : public testing::Test {
 protected:
  FlightFileTest() : folder_(fs::path(testing::TempDir()) / cat("flight_", getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~FlightFileTest() override { fs::remove_all(folder_); }

  // A board of one rank that has started `count` collectives and finished all but the last.
  static void fill(ProgressBoard& board, std::int64_t count) {
    board.begin_step(4);
    for (std::int64_t n = 1; n <= count; ++n) {
      board.collective_started(call_of(n));
      if (n < count) board.collective_finished(call_of(n));
    }
  }

  fs::path file() const { return folder_ / "flight" / (host_name() + ".jsonl"); }
  std::string text() const {
    std::ostringstream text;
    text << std::ifstream(file()).rdbuf();
    return text.str();
  }
  void replace_text(const std::string& text) const { std::ofstream(file(), std::ios::trunc) << text; }

  std::string error_of_reading() const {
    try {
      read_flight_log(folder_.string());
    } catch (const DataError& error) {
      return error.what();
    }
    return {};
  }

  fs::path folder_;
};

TEST_F(FlightFileTest, WhatWasWrittenIsRead) {
  ProgressBoard board(LaunchEnv{});
  fill(board, 300);
  ASSERT_TRUE(FlightFile(folder_.string(), 1).write(board));
  for (const auto& place : {folder_, folder_ / "flight"}) {
    const auto log = read_flight_log(place.string());
    ASSERT_TRUE(log);
    EXPECT_EQ(log->world_size, 1);
    ASSERT_EQ(log->nodes.size(), 1u);
    EXPECT_EQ(log->nodes[0].host, host_name());
    EXPECT_EQ(log->nodes[0].time.size(), 20u);
    ASSERT_EQ(log->ranks.size(), 1u);
    const FlightRank& rank = log->ranks[0];
    EXPECT_EQ(rank.pid, getpid());
    EXPECT_EQ(rank.phase, Phase::kStep);
    EXPECT_EQ(rank.step, 4);
    EXPECT_EQ(rank.started, 300);
    EXPECT_EQ(rank.finished, 299);
    EXPECT_LE(rank.since_ns, log->nodes[0].now_ns);
    ASSERT_EQ(rank.collectives.size(), static_cast<std::size_t>(kFlightEntries));
    EXPECT_EQ(rank.collectives.front().call.number, 300 - kFlightEntries + 1);
    EXPECT_TRUE(same_call(rank.find(300)->call, call_of(300)));
    EXPECT_FALSE(rank.find(300)->finished());
    EXPECT_GE(rank.find(299)->finished_ns, rank.find(299)->started_ns);
    EXPECT_EQ(rank.find(1), nullptr);
  }
}

TEST_F(FlightFileTest, TheFirstWriterOfANodeWins) {
  ProgressBoard board(LaunchEnv{});
  fill(board, 3);
  const FlightFile file(folder_.string(), 1);
  EXPECT_TRUE(file.write(board));
  const std::string first = text();
  board.collective_started(call_of(4));
  EXPECT_FALSE(file.write(board));
  EXPECT_EQ(text(), first);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "flight"), {}), 1) << "a temporary file is left";
}

TEST_F(FlightFileTest, ANodeWhoseRanksAreEndedByTheLauncherLeavesItsPart) {
  ProgressBoard board(LaunchEnv{});
  fill(board, 3);
  LaunchEnv env;
  env.world_size = 2;  // the other rank is on another node
  BadEnd end(board, env);
  EXPECT_FALSE(end.record_aftermath()) << "no folder is claimed";
  end.claim_run_folder(folder_.string());
  EXPECT_FALSE(end.record_aftermath()) << "the run has not failed";
  std::ofstream(folder_ / "failure.json") << "{}";
  EXPECT_TRUE(end.record_aftermath());
  const auto log = read_flight_log(folder_.string());
  ASSERT_TRUE(log);
  EXPECT_NE(explain(*log).find("no record of rank 1"), std::string::npos) << explain(*log);
}

TEST_F(FlightFileTest, ALinkInPlaceOfTheFolderIsNotFollowed) {
  fs::create_directories(folder_ / "elsewhere");
  fs::create_symlink("elsewhere", folder_ / "flight");
  ProgressBoard board(LaunchEnv{});
  EXPECT_FALSE(FlightFile(folder_.string(), 1).write(board));
  EXPECT_TRUE(fs::is_empty(folder_ / "elsewhere"));
}

TEST_F(FlightFileTest, WithoutAFolderNothingIsWritten) {
  ProgressBoard board(LaunchEnv{});
  EXPECT_FALSE(FlightFile().write(board));
  EXPECT_FALSE(FlightFile((folder_ / "gone").string(), 1).write(board));
  EXPECT_FALSE(fs::exists(folder_ / "gone"));
}

TEST_F(FlightFileTest, AFolderWithoutRecordsIsNoError) {
  EXPECT_FALSE(read_flight_log(folder_.string()));
  fs::create_directories(folder_ / "flight");
  EXPECT_FALSE(read_flight_log(folder_.string()));
  EXPECT_THROW(read_flight_log((folder_ / "gone").string()), DataError);
}

TEST_F(FlightFileTest, DamageIsAnErrorThatNamesTheLine) {
  ProgressBoard board(LaunchEnv{});
  fill(board, 3);
  ASSERT_TRUE(FlightFile(folder_.string(), 1).write(board));
  const std::string good = text();
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    const auto at = bad.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return bad.replace(at, from.size(), to);
  };
  const std::pair<std::string, std::string> cases[] = {
      {changed("\"version\":1", "\"version\":2"), "jsonl:1"},
      {changed("\"world_size\":1", "\"world_size\":99999999"), "jsonl:1"},
      {changed("\"world_size\":1", "\"world_size\":18446744073709551615"), "jsonl:1"},
      {changed("\"pid\":", "\"pid\":-"), "jsonl:2"},
      {changed("\"phase\":\"step\"", "\"phase\":\"nap\""), "jsonl:2"},
      {changed("\"kind\":\"all_reduce\"", "\"kind\":7"), "jsonl:3"},
      {changed("\"bytes\":4096", "\"bytes\":1e300"), "jsonl:3"},
      {changed("\"number\":1", "\"number\":0"), "jsonl:3"},
      {changed("{\"rank\":0,\"number\":1", "{\"rank\":5,\"number\":1"), "jsonl:3"},
      {changed("{\"rank\":0,\"number\":1", std::string(100000, '[')), "too long"},
      {good.substr(0, good.size() - 20), "jsonl:5"},
      {good + good, "jsonl:6"},
      {"", "empty"},
      {"{}", "jsonl:1"},
      {std::string("\0\xff\xfe", 3), "jsonl:1"},
  };
  for (const auto& [bad, words] : cases) {
    replace_text(bad);
    EXPECT_NE(error_of_reading().find(words), std::string::npos) << bad.substr(0, 300) << error_of_reading();
  }
}

TEST_F(FlightFileTest, RandomDamageNeverDoesMoreThanAnError) {
  ProgressBoard board(LaunchEnv{});
  fill(board, 20);
  ASSERT_TRUE(FlightFile(folder_.string(), 1).write(board));
  const std::string good = text();
  const unsigned seed = 20;
  SCOPED_TRACE(cat("seed ", seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    for (unsigned k = 1 + random() % 8; k > 0; --k) {
      bad[random() % bad.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    replace_text(bad);
    try {
      const auto log = read_flight_log(folder_.string());
      ASSERT_TRUE(log);
      EXPECT_FALSE(explain(*log).empty());
    } catch (const DataError&) {
    }
  }
}

// Logs of three ranks on one host; every rank has finished `count` collectives, a millisecond apart.
FlightLog level_log(std::int64_t count) {
  FlightLog log;
  log.world_size = 3;
  log.nodes.push_back({"a", 10'000'000'000, "2026-01-01T00:00:00Z"});
  for (int r = 0; r < 3; ++r) {
    FlightRank rank;
    rank.rank = r;
    rank.pid = 40 + r;
    rank.phase = Phase::kStep;
    rank.step = 120;
    rank.since_ns = 9'000'000'000;
    rank.started = rank.finished = count;
    for (std::int64_t n = 1; n <= count; ++n) {
      FlightEntry entry;
      entry.call = call_of(n);
      entry.phase = Phase::kStep;
      entry.step = 120;
      entry.started_ns = n * 1'000'000 + r;
      entry.finished_ns = n * 1'000'000 + 10;
      rank.collectives.push_back(entry);
    }
    log.ranks.push_back(std::move(rank));
  }
  return log;
}

void start(FlightRank& rank, const CollectiveCall& call, std::int64_t now_ns) {
  FlightEntry entry;
  entry.call = call;
  entry.step = rank.step;
  entry.phase = rank.phase;
  entry.started_ns = now_ns;
  rank.collectives.push_back(entry);
  rank.started = call.number;
}

void expect_words(const FlightLog& log, const std::string& words) {
  EXPECT_NE(explain(log).find(words), std::string::npos) << explain(log);
}

TEST(FlightAnalysisTest, NamesTheRankThatNeverStarted) {
  FlightLog log = level_log(17);
  for (const std::size_t r : {0u, 1u}) start(log.ranks[r], call_of(18), 4'000'000'000);
  log.ranks[2].phase = Phase::kData;
  expect_words(log,
               "rank 2 on a (pid 42) never started all_reduce of 4096 bytes f32 (number 18) of step 120: it "
               "was in phase data of step 120 for 1.0 s");
  expect_words(log, "ranks 0-1 wait in number 18, rank 0 for 6.0 s");
}

TEST(FlightAnalysisTest, NamesBothSidesOfAMismatch) {
  FlightLog log = level_log(17);
  start(log.ranks[0], call_of(18), 1);
  start(log.ranks[1], call_of(18, CollectiveKind::kBarrier, 0, DType::kU8), 1);
  start(log.ranks[2], call_of(18), 1);
  expect_words(log, "rank 0 all_reduce of 4096 bytes f32 (number 18), rank 1 barrier (number 18)");
}

TEST(FlightAnalysisTest, TellsAMismatchOfEveryField) {
  for (const auto& other :
       {call_of(18, CollectiveKind::kBroadcast), call_of(18, CollectiveKind::kAllReduce, 8192),
        call_of(18, CollectiveKind::kAllReduce, 4096, DType::kI32)}) {
    FlightLog log = level_log(17);
    start(log.ranks[0], call_of(18), 1);
    start(log.ranks[1], call_of(18), 1);
    start(log.ranks[2], other, 1);
    expect_words(log, "the ranks started different collectives: rank 0");
  }
}

TEST(FlightAnalysisTest, NamesARankThatStandsStillInsideACollective) {
  FlightLog log = level_log(17);
  log.ranks[1].finished = 16;
  log.ranks[1].collectives.back().finished_ns = 0;
  log.ranks[1].process = ProcessState::kStopped;
  expect_words(log, "rank 1 was still in number 17, which ranks 0, 2 had finished");
  expect_words(log, "the process of rank 1 on a (pid 41) was stopped");
  for (const std::size_t r : {0u, 2u}) start(log.ranks[r], call_of(18), 4'000'000'000);
  expect_words(log, "rank 1 on a (pid 41) had not left number 17");
}

TEST(FlightAnalysisTest, TellsACutTransport) {
  FlightLog log = level_log(17);
  for (auto& rank : log.ranks) start(rank, call_of(18), 4'000'000'000);
  expect_words(log, "all ranks had started number 18 and none had finished it");
}

TEST(FlightAnalysisTest, TellsWhoEndedBadlyOrIsMissing) {
  FlightLog log = level_log(17);
  log.ranks[0].failed_code = 4;
  log.ranks[1].process = ProcessState::kGone;
  log.world_size = 5;
  expect_words(log, "rank 0 on a (pid 40) was ending the run with exit code 4");
  expect_words(log, "the process of rank 1 on a (pid 41) was gone");
  expect_words(log, "no record of ranks 3-4");
  expect_words(log, "all ranks had finished number 17; none waited for another");
}

TEST(FlightAnalysisTest, NamesTheLatecomer) {
  FlightLog log = level_log(200);
  for (auto& entry : log.ranks[1].collectives) entry.started_ns += 5'000'000;
  expect_words(log,
               "rank 1 on a (pid 41) came last in 200 of the last 200 finished collectives and kept the "
               "first one waiting for 1.0 s in all");
}

TEST(FlightAnalysisTest, SaysSoWhereNothingWasStarted) {
  FlightLog log = level_log(0);
  expect_words(log, "no collective was started");
}

}  // namespace
}  // namespace rn::dist
