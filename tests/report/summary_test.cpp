#include "report/summary.h"

#include <gtest/gtest.h>

#include <cmath>

namespace rn::report {
namespace {

Json start() { return {{"event", "run_start"}}; }

Json step_at(std::int64_t step, double rate, double elapsed) {
  StepRecord record;
  record.at = {step, static_cast<double>(step) / 100};
  record.images_per_second = rate;
  return to_json(record, elapsed);
}

Json eval_at(std::int64_t step, const std::string& split, const std::string& weights, double top1) {
  return to_json(EvalRecord{{step, static_cast<double>(step) / 100}, split, weights, top1, 99, 0.5, 1000, 1});
}

Json end(double seconds) {
  return {{"event", "run_end"},
          {"status", "done"},
          {"exit_code", 0},
          {"seconds", seconds},
          {"peak_memory_bytes", 7}};
}

TEST(SummaryTest, TheRateIsAMedianWithoutTheFirstRecordOfEachStart) {
  Summary summary;
  EXPECT_TRUE(std::isnan(summary.images_per_second()));
  summary.add(start());
  summary.add(step_at(50, 1, 1));
  EXPECT_TRUE(std::isnan(summary.images_per_second()));
  for (const double rate : {100, 300, 200}) summary.add(step_at(100, rate, 2));
  summary.add(start());
  summary.add(step_at(150, 1, 1));  // warm-up of the second part
  summary.add(step_at(200, 400, 2));
  EXPECT_DOUBLE_EQ(summary.images_per_second(), 250);
}

TEST(SummaryTest, StepsAreWholeNumbersOfRecordsThatTellWhereTheRunIs) {
  Summary summary;
  summary.add(step_at(300, 1, 1));
  summary.add({{"event", "step"}, {"step", 1e300}});
  summary.add({{"event", "step"}, {"step", "400"}});
  summary.add(to_json(CheckpointRecord{{200, 2}, true}));  // its write ended after step 300
  EXPECT_EQ(summary.to_json("run", {}).at("step"), 300);
}

TEST(SummaryTest, KeepsTheLastEvaluationsAndTheBestBySplit) {
  Summary summary;
  summary.add(eval_at(100, "test", "raw", 60));
  summary.add(eval_at(200, "test", "ema", std::nan("")));
  summary.add(eval_at(200, "test", "raw", 80));
  summary.add(eval_at(300, "test", "ema", 80));  // no better: the first of equals stays
  summary.add(eval_at(400, "test", "raw", 70));
  summary.add(eval_at(400, "val", "raw", 65));
  const Json json = summary.to_json("runs/x", nlohmann::json::object());
  EXPECT_EQ(json.at("evals").at("test").at("raw").at("top1"), 70);
  EXPECT_EQ(json.at("evals").at("test").at("ema").at("step"), 300);
  EXPECT_EQ(json.at("best").at("test").at("step"), 200);
  EXPECT_EQ(json.at("best").at("test").at("weights"), "raw");
  EXPECT_EQ(json.at("best").at("val").at("top1"), 65);
  EXPECT_EQ(json.at("step"), 400);
}

TEST(SummaryTest, ARunInPartsAddsUpItsTime) {
  Summary summary;
  summary.add(start());
  summary.add(step_at(50, 1, 30));  // killed: no run_end, its last record tells
  summary.add(start());
  summary.add(step_at(100, 1, 20));
  summary.add(end(25));
  const Json json = summary.to_json("runs/x", nullptr);
  EXPECT_DOUBLE_EQ(json.at("total_seconds"), 55);
  EXPECT_DOUBLE_EQ(json.at("seconds"), 25);
  EXPECT_EQ(json.at("starts"), 2);
  EXPECT_EQ(json.at("peak_memory_bytes"), 7);
}

TEST(SummaryTest, TotalsAreMergedAndWin) {
  Summary summary;
  summary.add(end(1));
  const Json json = summary.to_json("runs/x", {{"synthetic", true}, {"best", "checkpoints/best"}});
  EXPECT_EQ(json.at("synthetic"), true);
  EXPECT_EQ(json.at("best"), "checkpoints/best");
  EXPECT_EQ(json.at("status"), "done");
  EXPECT_TRUE(json.at("images_per_second").is_null()) << "nothing measured";
}

TEST(SummaryTest, HeadlinePrefersTheTestSplitAndAveragedWeights) {
  Summary summary;
  EXPECT_TRUE(summary.headline().is_null());
  summary.add(eval_at(1, "train", "swa", 1));
  summary.add(eval_at(1, "val", "raw", 2));
  EXPECT_EQ(summary.headline().at("top1"), 2);
  summary.add(eval_at(1, "test", "raw", 3));
  EXPECT_EQ(summary.headline().at("top1"), 3);
  summary.add(eval_at(1, "test", "ema", 4));
  EXPECT_EQ(summary.headline().at("top1"), 4);
  summary.add(eval_at(1, "test", "swa", 5));
  EXPECT_EQ(summary.headline().at("top1"), 5);
}

TEST(SummaryTest, TheLastLineSaysWhatCameOut) {
  Summary summary;
  summary.add(start());
  summary.add(step_at(50, 1, 30));
  summary.add(step_at(100, 2950, 60));
  summary.add(eval_at(100, "test", "raw", 86.125));
  summary.add(end(75));
  EXPECT_EQ(format_summary(summary, "done", "runs/x"),
            "done: 100 steps in 1:15, test top-1 86.12 % (raw), 2950 images/s, runs/x");
  EXPECT_EQ(format_summary(Summary(), "stopped", "runs/x"), "stopped: 0 steps in 0:00, runs/x");
}

}  // namespace
}  // namespace rn::report
