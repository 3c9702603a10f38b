#include "report/progress.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>
#include <string>

#include "core/error.h"

namespace rn::report {
namespace {

StepRecord sample() {
  StepRecord record;
  record.at = {950, 2.43};
  record.loss = 1.23456;
  record.top1 = 56.314;
  record.lr = 0.08124;
  record.images_per_second = 3120.4;
  record.data_wait_ms = 0.24;
  record.comm_wait_ms = 12.6;
  return record;
}

constexpr RunPlan kPlan{4692, 391};

TEST(ProgressTest, ALineHoldsAllThatTheRunMeasures) {
  EXPECT_EQ(
      format_progress(sample(), kPlan, 754, 0),
      "epoch 2.43/12  step 950/4692  loss 1.2346  top-1 56.31 %  lr 0.08124  3120 images/s  data 0.2 ms  "
      "comm 13 ms  ETA 12:34");
  EXPECT_EQ(format_progress(sample(), kPlan, -1, 0).find("ETA"), std::string::npos);
}

TEST(ProgressTest, AnyWidthGetsALineThatDoesNotWrapTheLeastImportantPartsGoFirst) {
  const std::string full = format_progress(sample(), kPlan, 754, 0);
  for (int width = 1; width <= 160; ++width) {
    const std::string line = format_progress(sample(), kPlan, 754, width);
    EXPECT_LT(line.size(), static_cast<std::size_t>(width));
    if (width > static_cast<int>(full.size())) {
      EXPECT_EQ(line, full);
    }
  }
  EXPECT_EQ(format_progress(sample(), kPlan, 754, 80),
            "epoch 2.43/12  step 950/4692  loss 1.2346  top-1 56.31 %  3120 images/s");
  EXPECT_EQ(format_progress(sample(), kPlan, 754, 40), "step 950/4692  loss 1.2346");
}

TEST(ProgressTest, NotANumberIsShownAsSuch) {
  auto record = sample();
  record.loss = std::nan("");
  EXPECT_NE(format_progress(record, kPlan, -1, 0).find("loss nan"), std::string::npos);
}

TEST(ProgressTest, DurationsReadAsClockTimes) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(9.4), "0:09");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(754), "12:34");
  EXPECT_EQ(format_duration(3 * 3600 + 2 * 60 + 1), "3:02:01");
  EXPECT_EQ(format_duration(100 * 3600), "100:00:00");
  EXPECT_EQ(format_duration(-5), "0:00");
}

TEST(ProgressTest, ResultLines) {
  EXPECT_EQ(format_eval({{1173, 3}, "test", "raw", 86.12, 99.308, 0.43214, 10000, 8.21}),
            "epoch 3  test top-1 86.12 %  top-5 99.31 %  loss 0.4321  10000 images in 8.2 s (raw)");
  EXPECT_EQ(format_epoch({{1173, 3}, 0.612, 78.9, 0.05, 205}),
            "epoch 3  train loss 0.6120  top-1 78.90 %  lr 0.05  3:25");
}

class ProgressOutputTest : public testing::Test {
 protected:
  Progress make(ProgressStyle style, int width) {
    return Progress(style, width, out_, [this] { return now_; });
  }
  void step(Progress& progress, std::int64_t at, double now) {
    now_ = now;
    auto record = sample();
    record.at = {at, static_cast<double>(at) / 100};
    progress.step(record);
  }

  std::ostringstream out_;
  double now_ = 0;
};

TEST_F(ProgressOutputTest, PlainLinesStandOneBelowTheOther) {
  {
    auto progress = make(ProgressStyle::kPlain, 40);
    progress.start({300, 100}, 0);
    step(progress, 50, 10);
    progress.line("result");
  }
  const std::string text = out_.str();
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.substr(text.find('\n')), "\nresult\n");
  EXPECT_NE(text.find("comm"), std::string::npos) << "a file has no width";
}

TEST_F(ProgressOutputTest, ALiveLineIsDrawnOverAndResultsStay) {
  {
    auto progress = make(ProgressStyle::kLive, 36);
    progress.start({300, 100}, 0);
    step(progress, 50, 10);
    step(progress, 100, 20);
    progress.line("result");
    step(progress, 150, 30);
  }
  EXPECT_EQ(out_.str(),
            "step 50/300  loss 1.2346\x1b[K\r"
            "step 100/300  loss 1.2346\x1b[K\r"
            "\r\x1b[Kresult\n"
            "step 150/300  loss 1.2346\x1b[K\r"
            "\n");
}

TEST_F(ProgressOutputTest, NoneSaysNothing) {
  {
    auto progress = make(ProgressStyle::kNone, 80);
    progress.start({300, 100}, 0);
    step(progress, 50, 10);
    progress.line("result");
  }
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressOutputTest, TheEtaFollowsASmoothedPaceFromWhereThisProcessStarted) {
  auto progress = make(ProgressStyle::kPlain, 0);
  now_ = 1000;
  progress.start({300, 100}, 100);  // resumed at step 100
  step(progress, 150, 1050);        // 1 s a step, 150 steps left
  EXPECT_NE(out_.str().find("ETA 2:30"), std::string::npos) << out_.str();
  out_.str("");
  step(progress, 200, 1200);  // 3 s a step: pace (0.9 * 1 + 3) / 1.9 = 2.05 s, 100 steps left
  EXPECT_NE(out_.str().find("ETA 3:25"), std::string::npos) << out_.str();
  out_.str("");
  step(progress, 300, 1400);
  EXPECT_NE(out_.str().find("ETA 0:00"), std::string::npos) << out_.str();
}

TEST(ProgressTest, TheConfigurationsWordChoosesTheStyle) {
  EXPECT_EQ(progress_style("auto", true), ProgressStyle::kLive);
  EXPECT_EQ(progress_style("auto", false), ProgressStyle::kPlain);
  EXPECT_EQ(progress_style("plain", true), ProgressStyle::kPlain);
  EXPECT_EQ(progress_style("none", true), ProgressStyle::kNone);
  EXPECT_THROW(progress_style("loud", true), ConfigError);
}

}  // namespace
}  // namespace rn::report
