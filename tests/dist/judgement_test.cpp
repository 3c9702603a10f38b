#include "dist/judgement.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <vector>

namespace rn::dist {
namespace {

DistOptions options() {
  DistOptions o;
  o.init_deadline_seconds = 30;
  o.data_deadline_seconds = 10;
  o.step_deadline_seconds = 20;
  o.eval_deadline_seconds = 40;
  o.checkpoint_deadline_seconds = 60;
  return o;
}

// A rank that is computing in `phase` after `collective` collectives.
RowSnapshot busy(int rank, Phase phase, std::int64_t collective, double stalled) {
  RowSnapshot row;
  row.local_rank = row.rank = rank;
  row.pid = 1000 + rank;
  row.phase = phase;
  row.step = 5;
  row.collective = row.finished_collective = collective;
  row.stalled_seconds = stalled;
  return row;
}

// A rank that waits in `collective`.
RowSnapshot waiting(int rank, Phase phase, std::int64_t collective, double stalled) {
  RowSnapshot row = busy(rank, phase, collective, stalled);
  row.finished_collective = collective - 1;
  row.collective_kind = 1;
  row.collective_bytes = 4096;
  return row;
}

RowSnapshot unattached(int local_rank, double stalled) {
  RowSnapshot row;
  row.local_rank = local_rank;
  row.stalled_seconds = stalled;
  return row;
}

RowSnapshot gone(RowSnapshot row, double seconds) {
  row.process = ProcessState::kGone;
  row.gone_seconds = seconds;
  return row;
}

RowSnapshot stopped(RowSnapshot row) {
  row.process = ProcessState::kStopped;
  return row;
}

RowSnapshot failed(RowSnapshot row, int code) {
  row.failed_code = code;
  row.phase = Phase::kEnding;
  return row;
}

struct Case {
  const char* what;
  std::vector<RowSnapshot> rows;
  Verdict::Kind kind;
  int culprit;
};

constexpr auto kFine = Verdict::Kind::kFine;
constexpr auto kHang = Verdict::Kind::kHang;
constexpr auto kPeerLost = Verdict::Kind::kPeerLost;
constexpr auto kPeerFailed = Verdict::Kind::kPeerFailed;

void expect_verdicts(const std::vector<Case>& cases, bool whole_world = true) {
  for (const auto& c : cases) {
    const Verdict verdict = judge(c.rows, /*self=*/0, options(), whole_world);
    EXPECT_EQ(verdict.kind, c.kind) << c.what << ": " << verdict.message;
    EXPECT_EQ(verdict.culprit, c.culprit) << c.what << ": " << verdict.message;
  }
}

TEST(JudgementTest, MovingRanksAreFine) {
  expect_verdicts(
      {{"one rank", {busy(0, Phase::kStep, 3, 19)}, kFine, -1},
       {"all busy", {busy(0, Phase::kStep, 3, 1), busy(1, Phase::kData, 3, 9)}, kFine, -1},
       {"one waits", {waiting(0, Phase::kStep, 4, 5), busy(1, Phase::kData, 3, 5)}, kFine, -1},
       {"finished", {busy(0, Phase::kFinished, 9, 999), busy(1, Phase::kStep, 9, 1)}, kFine, -1}});
}

TEST(JudgementTest, TheRankThatHasNotArrivedIsTheCulprit) {
  expect_verdicts({
      {"alone", {busy(0, Phase::kStep, 3, 21)}, kHang, 0},
      {"in its data phase", {waiting(0, Phase::kStep, 4, 10), busy(1, Phase::kData, 3, 11)}, kHang, 1},
      {"last of three",
       {waiting(0, Phase::kStep, 4, 21), waiting(1, Phase::kStep, 4, 21), busy(2, Phase::kStep, 3, 22)},
       kHang,
       2},
      {"an older collective unfinished",
       {waiting(0, Phase::kStep, 5, 30), waiting(1, Phase::kStep, 4, 31), waiting(2, Phase::kStep, 5, 30)},
       kHang,
       1},
      {"the longer one of two", {busy(0, Phase::kData, 3, 12), busy(1, Phase::kData, 3, 15)}, kHang, 1},
      {"beside a rank that moves", {busy(0, Phase::kStep, 3, 0), busy(1, Phase::kData, 3, 11)}, kHang, 1},
      {"while others leave", {waiting(0, Phase::kEnding, 9, 22), busy(1, Phase::kStep, 8, 23)}, kHang, 1},
  });
}

TEST(JudgementTest, WaitersAreJudgedByTheCulpritsOwnDeadline) {
  expect_verdicts({
      {"a checkpoint of rank 0",
       {busy(0, Phase::kCheckpoint, 3, 50), waiting(1, Phase::kStep, 4, 49)},
       kFine,
       -1},
      {"an evaluation of rank 0", {busy(0, Phase::kEval, 3, 39), waiting(1, Phase::kStep, 4, 38)}, kFine, -1},
      {"a checkpoint too long",
       {busy(0, Phase::kCheckpoint, 3, 61), waiting(1, Phase::kStep, 4, 60)},
       kHang,
       0},
      {"a checkpoint with a sum under way",
       {waiting(0, Phase::kCheckpoint, 4, 50), waiting(1, Phase::kStep, 4, 49)},
       kFine,
       -1},
  });
}

TEST(JudgementTest, ACollectiveInWhichAllWaitHangsAfterAllDeadlines) {
  expect_verdicts(
      {{"same phase", {waiting(0, Phase::kStep, 4, 21), waiting(1, Phase::kStep, 4, 25)}, kHang, 1},
       {"too early", {waiting(0, Phase::kStep, 4, 19), waiting(1, Phase::kStep, 4, 25)}, kFine, -1}});
}

TEST(JudgementTest, AStoppedProcessIsTheCulprit) {
  expect_verdicts({
      {"in a collective",
       {waiting(0, Phase::kStep, 4, 30), stopped(waiting(1, Phase::kStep, 4, 21))},
       kHang,
       1},
      {"not yet", {waiting(0, Phase::kStep, 4, 19), stopped(waiting(1, Phase::kStep, 4, 19))}, kFine, -1},
  });
  const std::vector<RowSnapshot> rows = {waiting(0, Phase::kStep, 4, 30),
                                         stopped(busy(1, Phase::kStep, 3, 21))};
  const Verdict verdict = judge(rows, 0, options(), true);
  EXPECT_NE(verdict.message.find("stopped"), std::string::npos) << verdict.message;
}

TEST(JudgementTest, ARankThatNeverAttachesIsTheCulprit) {
  expect_verdicts({{"in time", {busy(0, Phase::kInit, 0, 29), unattached(1, 29)}, kFine, -1},
                   {"too late", {waiting(0, Phase::kInit, 1, 29), unattached(1, 31)}, kHang, 1}});
}

TEST(JudgementTest, AVanishedRankIsLostAfterAMomentOfGrace) {
  expect_verdicts({
      {"just gone", {busy(0, Phase::kStep, 3, 0), gone(busy(1, Phase::kStep, 3, 0), 0.1)}, kFine, -1},
      {"gone", {busy(0, Phase::kStep, 3, 0), gone(busy(1, Phase::kStep, 3, 0), 0.4)}, kPeerLost, 1},
      {"the first of two",
       {busy(0, Phase::kStep, 3, 0), gone(busy(1, Phase::kStep, 3, 0), 0.4),
        gone(busy(2, Phase::kStep, 3, 0), 0.9)},
       kPeerLost,
       2},
      {"gone in good order",
       {busy(0, Phase::kEnding, 3, 0), gone(busy(1, Phase::kFinished, 3, 9), 9)},
       kFine,
       -1},
      {"gone before the end",
       {waiting(0, Phase::kEnding, 3, 0), gone(busy(1, Phase::kEnding, 3, 9), 9)},
       kPeerLost,
       1},
      {"loss before hang",
       {waiting(0, Phase::kStep, 4, 99), gone(busy(1, Phase::kStep, 3, 99), 1)},
       kPeerLost,
       1},
  });
}

TEST(JudgementTest, ARankThatEndsBadlyExplainsWhatTheOthersSee) {
  const auto ending = failed(busy(1, Phase::kStep, 3, 1), 4);
  expect_verdicts({
      {"others wait", {waiting(0, Phase::kStep, 4, 25), ending}, kFine, -1},
      {"others vanish",
       {busy(0, Phase::kStep, 3, 0), ending, gone(busy(2, Phase::kStep, 3, 0), 5)},
       kFine,
       -1},
      {"it is gone, rightly", {busy(0, Phase::kStep, 3, 0), gone(ending, 3)}, kFine, -1},
      {"nobody ends the others", {busy(0, Phase::kStep, 3, 0), gone(ending, 21)}, kPeerFailed, 1},
  });
  const std::vector<RowSnapshot> rows = {busy(0, Phase::kStep, 3, 0), gone(ending, 21)};
  EXPECT_EQ(judge(rows, 0, options(), true).code, ExitCode::kData);
}

TEST(JudgementTest, OtherNodesAreSuspectedOnlyAfterTheLongestDeadline) {
  expect_verdicts(
      {{"their node speaks first",
        {waiting(0, Phase::kStep, 4, 69), waiting(1, Phase::kStep, 4, 69)},
        kFine,
        -1},
       {"nobody spoke", {waiting(0, Phase::kStep, 4, 71), waiting(1, Phase::kStep, 4, 71)}, kHang, -1},
       {"here", {waiting(0, Phase::kStep, 4, 21), busy(1, Phase::kStep, 3, 22)}, kHang, 1}},
      /*whole_world=*/false);
  const std::vector<RowSnapshot> rows = {waiting(0, Phase::kStep, 4, 71)};
  EXPECT_NE(judge(rows, 0, options(), false).message.find("another node"), std::string::npos);
}

RowSnapshot elsewhere(RowSnapshot row, double silent = 0) {
  std::snprintf(row.host.data(), row.host.size(), "beta");
  row.silent_seconds = silent;
  return row;
}

struct OtherCase {
  const char* what;
  std::vector<RowSnapshot> rows, others;
  Verdict::Kind kind;
  int other;
};

TEST(JudgementTest, ACulpritOnAnotherNodeIsNamedOnceItsOwnNodeHadTimeToSpeak) {
  const std::vector<OtherCase> cases = {
      {"beyond its deadline",
       {waiting(0, Phase::kStep, 4, 12)},
       {elsewhere(busy(1, Phase::kData, 3, 14))},
       kHang,
       0},
      {"its node may still speak",
       {waiting(0, Phase::kStep, 4, 12)},
       {elsewhere(busy(1, Phase::kData, 3, 12))},
       kFine,
       -1},
      {"a long phase",
       {waiting(0, Phase::kStep, 4, 99)},
       {elsewhere(busy(1, Phase::kCheckpoint, 3, 62))},
       kFine,
       -1},
      {"the ranks here have only just come",
       {waiting(0, Phase::kStep, 4, 2)},
       {elsewhere(busy(1, Phase::kData, 3, 14))},
       kFine,
       -1},
      {"not all here wait",
       {waiting(0, Phase::kStep, 4, 15), busy(1, Phase::kStep, 3, 15)},
       {elsewhere(busy(2, Phase::kData, 3, 15))},
       kFine,
       -1},
      {"the one that is furthest behind",
       {waiting(0, Phase::kStep, 4, 15)},
       {elsewhere(busy(1, Phase::kData, 3, 20)), elsewhere(waiting(2, Phase::kStep, 4, 30)),
        elsewhere(busy(3, Phase::kData, 2, 14))},
       kHang,
       2},
      {"heard long ago, and the ranks here would not wait so long",
       {waiting(0, Phase::kStep, 4, 19)},
       {elsewhere(busy(1, Phase::kData, 3, 30), 25)},
       kFine,
       -1},
      {"heard long ago",
       {waiting(0, Phase::kStep, 4, 21)},
       {elsewhere(busy(1, Phase::kData, 3, 30), 25)},
       kHang,
       0},
      {"heard long ago, in a collective of its own",
       {waiting(0, Phase::kStep, 4, 21)},
       {elsewhere(waiting(1, Phase::kStep, 4, 30), 25)},
       kHang,
       0},
      {"all wait everywhere: not before the longest deadline",
       {waiting(0, Phase::kStep, 4, 69)},
       {elsewhere(waiting(1, Phase::kStep, 4, 69))},
       kFine,
       -1},
      {"all wait everywhere",
       {waiting(0, Phase::kStep, 4, 71)},
       {elsewhere(waiting(1, Phase::kStep, 4, 71))},
       kHang,
       -1},
      {"one ends badly there",
       {waiting(0, Phase::kStep, 4, 71)},
       {elsewhere(failed(busy(1, Phase::kStep, 3, 1), 4))},
       kFine,
       -1},
      {"one ended badly there, and nobody ends us",
       {waiting(0, Phase::kStep, 4, 71)},
       {elsewhere(busy(1, Phase::kStep, 3, 1)), elsewhere(failed(busy(2, Phase::kStep, 3, 21), 4))},
       kPeerFailed,
       1},
  };
  for (const auto& c : cases) {
    const Verdict verdict = judge(c.rows, /*self=*/0, options(), /*whole_world=*/false, c.others);
    EXPECT_EQ(verdict.kind, c.kind) << c.what << ": " << verdict.message;
    EXPECT_EQ(verdict.culprit, -1) << c.what;
    EXPECT_EQ(verdict.other, c.other) << c.what << ": " << verdict.message;
  }
}

TEST(JudgementTest, TheMessageNamesTheHostOfACulpritElsewhere) {
  const std::vector<RowSnapshot> rows = {waiting(0, Phase::kStep, 17, 30)};
  const std::vector<RowSnapshot> others = {elsewhere(busy(3, Phase::kData, 16, 32), 8)};
  const Verdict verdict = judge(rows, 0, options(), false, others);
  for (const char* part : {"rank 3 on beta (pid 1003)", "32.0 s", "phase data", "step 5",
                           "after collective 16", "last heard of 8.0 s ago", "Waiting for it: rank 0"}) {
    EXPECT_NE(verdict.message.find(part), std::string::npos) << part << " in: " << verdict.message;
  }
  EXPECT_NE(describe_rows(others).find("rank 3 on beta"), std::string::npos) << describe_rows(others);
  const std::vector<RowSnapshot> level = {elsewhere(waiting(3, Phase::kStep, 17, 80))};
  const std::vector<RowSnapshot> here = {waiting(0, Phase::kStep, 17, 80)};
  EXPECT_NE(judge(here, 0, options(), false, level).message.find("those of the other nodes wait too"),
            std::string::npos);
}

TEST(JudgementTest, NoDeadlineMeansForever) {
  DistOptions o = options();
  o.step_deadline_seconds = 0;
  EXPECT_TRUE(std::isinf(deadline_of(Phase::kStep, o)));
  EXPECT_TRUE(std::isinf(deadline_of(Phase::kFinished, o)));
  const std::vector<RowSnapshot> rows = {busy(0, Phase::kStep, 3, 1e9)};
  EXPECT_EQ(judge(rows, 0, o, true).kind, kFine);
}

TEST(JudgementTest, TheMessageNamesCulpritPhaseStepAndWaiters) {
  const std::vector<RowSnapshot> rows = {waiting(0, Phase::kStep, 17, 12), busy(1, Phase::kData, 16, 13)};
  const Verdict verdict = judge(rows, 0, options(), true);
  for (const char* part : {"rank 1 (pid 1001)", "13.0 s", "phase data", "step 5", "10.0 s", "rank 0"}) {
    EXPECT_NE(verdict.message.find(part), std::string::npos) << part << " in: " << verdict.message;
  }
  EXPECT_NE(describe_rows(rows).find("waiting in all_reduce number 17 (4096 bytes)"), std::string::npos)
      << describe_rows(rows);
}

}  // namespace
}  // namespace rn::dist
