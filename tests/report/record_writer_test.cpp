#include "report/record_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "scratch_folder.h"

namespace rn::report {
namespace {

Json record(const std::string& event, std::int64_t step = -1) {
  Json json;
  json["event"] = event;
  if (step >= 0) json["step"] = step;
  return json;
}

std::string lines(const std::vector<Json>& records) {
  std::string text;
  for (const auto& json : records) text += dump(json) + "\n";
  return text;
}

TEST(RecordWriterTest, WritesOneObjectALineAtOnce) {
  const ScratchFolder folder;
  RecordWriter writer(folder / "metrics.jsonl", -1);
  Json multi_line = record("step", 1);
  multi_line["note"] = "two\nlines";
  writer.write(multi_line);
  EXPECT_EQ(read_text(folder / "metrics.jsonl"),
            "{\"event\":\"step\",\"step\":1,\"note\":\"two\\nlines\"}\n");
  writer.write(record("step", 2));
  EXPECT_EQ(read_jsonl(folder / "metrics.jsonl").size(), 2U);
}

TEST(RecordWriterTest, AFreshRunStartsAnEmptyFile) {
  const ScratchFolder folder;
  write_text(folder / "metrics.jsonl", lines({record("run_start"), record("step", 5)}));
  RecordWriter(folder / "metrics.jsonl", -1).write(record("run_start"));
  EXPECT_EQ(read_text(folder / "metrics.jsonl"), lines({record("run_start")}));
}

TEST(RecordWriterTest, ResumeCutsLaterStepsAndKeepsTheEarlierPartsHistory) {
  const ScratchFolder folder;
  const std::vector<Json> kept = {record("run_start"), record("step", 50),  record("epoch", 60),
                                  record("eval", 60),  record("step", 100), record("run_end"),
                                  record("run_start"), record("step", 120), record("eval", 120)};
  auto all = kept;
  for (const auto& later :
       {record("step", 121), record("eval", 150), record("epoch", 150), record("run_end")}) {
    all.push_back(later);
  }
  write_text(folder / "metrics.jsonl", lines(all));
  std::vector<Json> seen;
  RecordWriter writer(folder / "metrics.jsonl", 120, [&](const Json& json) { seen.push_back(json); });
  EXPECT_EQ(seen, kept);
  writer.write(record("run_start"));
  writer.write(record("step", 150));
  auto expected = kept;
  expected.push_back(record("run_start"));
  expected.push_back(record("step", 150));
  EXPECT_EQ(read_text(folder / "metrics.jsonl"), lines(expected));
}

TEST(RecordWriterTest, ResumeAtTheLastStepKeepsAll) {
  const ScratchFolder folder;
  const auto text = lines({record("run_start"), record("step", 50), record("run_end")});
  write_text(folder / "metrics.jsonl", text);
  RecordWriter(folder / "metrics.jsonl", 50);
  EXPECT_EQ(read_text(folder / "metrics.jsonl"), text);
}

TEST(RecordWriterTest, ResumeAtTheEndCutsTheEvaluationsThatComeAgain) {
  const ScratchFolder folder;
  const std::vector<Json> kept = {record("run_start"), record("eval", 40), record("step", 50),
                                  record("epoch", 50)};
  auto all = kept;
  for (const auto& later : {record("eval", 50), record("eval", 50), record("run_end")}) all.push_back(later);
  write_text(folder / "metrics.jsonl", lines(all));
  RecordWriter(folder / "metrics.jsonl", 50, {}, /*at_end=*/true);
  EXPECT_EQ(read_text(folder / "metrics.jsonl"), lines(kept));
}

TEST(RecordWriterTest, ResumeDropsATornLastLineWhereverItIsTorn) {
  const ScratchFolder folder;
  const auto whole = lines({record("run_start"), record("step", 50)});
  const std::string last = dump(record("eval", 50)) + "\n";
  for (std::size_t cut = 1; cut < last.size(); ++cut) {
    write_text(folder / "metrics.jsonl", whole + last.substr(0, cut));
    RecordWriter(folder / "metrics.jsonl", 100).write(record("run_start"));
    EXPECT_EQ(read_text(folder / "metrics.jsonl"), whole + lines({record("run_start")}))
        << "torn after " << cut;
  }
}

TEST(RecordWriterTest, ResumeDropsATailThatIsNoJson) {
  const ScratchFolder folder;
  const auto whole = lines({record("run_start"), record("step", 50)});
  write_text(folder / "metrics.jsonl", whole + "{\"event\":\"st\n" + std::string(20, '\0') + "\n");
  RecordWriter(folder / "metrics.jsonl", 100);
  EXPECT_EQ(read_text(folder / "metrics.jsonl"), whole);
}

TEST(RecordWriterTest, ResumeWithoutAFileStartsOne) {
  const ScratchFolder folder;
  RecordWriter(folder / "metrics.jsonl", 100).write(record("run_start"));
  EXPECT_EQ(read_jsonl(folder / "metrics.jsonl").size(), 1U);
}

// Runs that are killed at random and resumed from random checkpoints never show a step twice.
TEST(RecordWriterTest, NoStepStandsTwiceAfterAnyChainOfResumes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(cat("seed ", seed));
    CounterRandom random(seed, Purpose::kSynthetic, 0, 0);
    const ScratchFolder folder;
    std::int64_t resume = -1;
    std::int64_t reached = 0;
    for (int part = 0; part < 8; ++part) {
      RecordWriter writer(folder / "metrics.jsonl", resume);
      reached = std::max<std::int64_t>(resume, 0);
      writer.write(record("run_start"));
      for (int i = static_cast<int>(random.below(12)); i > 0; --i) writer.write(record("step", ++reached));
      if (random.below(2) == 0) {
        writer.write(record("run_end"));
      } else {
        AppendFile(folder / "metrics.jsonl", AppendFile::Open::kExistingOrNew).append("{\"event\":\"ste");
      }
      resume = random.below(static_cast<std::uint32_t>(reached) + 1);
    }
    RecordWriter(folder / "metrics.jsonl", resume);
    std::vector<std::int64_t> steps;
    for (const auto& json : read_jsonl(folder / "metrics.jsonl")) {
      if (json.at("event") == "step") steps.push_back(json.at("step"));
    }
    std::vector<std::int64_t> expected;
    for (std::int64_t step = 1; step <= resume; ++step) expected.push_back(step);
    EXPECT_EQ(steps, expected);
  }
}

TEST(RecordWriterTest, AFullDiskWarnsOnceAndGoesOn) {
  testing::internal::CaptureStderr();
  RecordWriter writer("/dev/full", 10);
  writer.write(record("step", 11));
  writer.write(record("step", 12));
  const std::string warnings = testing::internal::GetCapturedStderr();
  EXPECT_NE(warnings.find("No space left"), std::string::npos) << warnings;
  EXPECT_EQ(std::count(warnings.begin(), warnings.end(), '\n'), 1) << warnings;
}

}  // namespace
}  // namespace rn::report
