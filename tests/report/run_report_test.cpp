#include "report/run_report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>

#include "core/error.h"
#include "scratch_folder.h"

namespace rn::report {
namespace {

ReportOptions quiet() {
  ReportOptions options;
  options.progress = "none";
  return options;
}

StepRecord step_record(std::int64_t step, double rate = 100) {
  StepRecord record;
  record.at = {step, static_cast<double>(step) / 100};
  record.loss = 2;
  record.images_per_second = rate;
  return record;
}

const nlohmann::json kConfig = {{"run", {{"name", "x"}}}};
const nlohmann::json kEnvironment = {{"world_size", 2}, {"devices", {"cpu", "cpu"}}};

TEST(RunReportTest, ARunLeavesItsRecordsEventsAndSummary) {
  const ScratchFolder folder;
  const std::string run = folder / "deep/run";
  RunReport report(quiet(), run, true, -1);
  report.run_start(kConfig, kEnvironment, {300, 100});
  report.step(step_record(50, 1));
  report.step(step_record(100, 400));
  report.epoch({{100, 1}, 1.5, 45, 0.1, 3});
  report.eval({{100, 1}, "test", "raw", 60.5, 95, 1.2, 1000, 1});
  report.run_end("done", 0, {{"selected_on", "test"}});

  const auto records = read_jsonl(run + "/metrics.jsonl");
  ASSERT_EQ(records.size(), 6U);
  EXPECT_EQ(records[0].at("event"), "run_start");
  EXPECT_EQ(records[0].at("config"), kConfig);
  EXPECT_EQ(records[0].at("world_size"), 2);
  EXPECT_FALSE(records[0].contains("resumed_from"));
  EXPECT_EQ(records[2].at("step"), 100);
  EXPECT_EQ(records[5].at("event"), "run_end");
  EXPECT_EQ(records[5].at("status"), "done");
  EXPECT_EQ(records[5].at("exit_code"), 0);
  EXPECT_GE(records[5].at("seconds").get<double>(), 0);
  EXPECT_GT(records[5].at("peak_memory_bytes").get<double>(), 1e6);

  const auto summary = nlohmann::json::parse(read_text(run + "/summary.json"));
  EXPECT_EQ(summary.at("status"), "done");
  EXPECT_EQ(summary.at("evals").at("test").at("raw").at("top1"), 60.5);
  EXPECT_EQ(summary.at("images_per_second"), 400);
  EXPECT_EQ(summary.at("selected_on"), "test");
  EXPECT_EQ(summary.at("run_dir"), run);
  EXPECT_DOUBLE_EQ(report.images_per_second(), 400);
  EXPECT_FALSE(std::filesystem::is_empty(run + "/tensorboard"));
}

TEST(RunReportTest, AResumedRunCutsItsRecordsAndSumsUpTheWhole) {
  const ScratchFolder folder;
  {
    RunReport report(quiet(), folder.path(), true, -1);
    report.run_start(kConfig, kEnvironment, {300, 100});
    for (const std::int64_t step : {50, 100, 150}) report.step(step_record(step, 200));
    report.eval({{100, 1}, "test", "raw", 90, 99, 1, 1000, 1});
  }
  RunReport report(quiet(), folder.path(), true, 100);
  report.run_start(kConfig, kEnvironment, {300, 100});
  report.step(step_record(150, 300));
  report.run_end("done", 0, nullptr);
  std::vector<std::int64_t> steps;
  for (const auto& record : read_jsonl(folder / "metrics.jsonl")) {
    if (record.at("event") == "step") steps.push_back(record.at("step"));
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{50, 100, 150}));
  const auto records = read_jsonl(folder / "metrics.jsonl");
  EXPECT_EQ(records.at(records.size() - 3).at("resumed_from"), 100);
  const auto summary = nlohmann::json::parse(read_text(folder / "summary.json"));
  EXPECT_EQ(summary.at("starts"), 2);
  EXPECT_EQ(summary.at("images_per_second"), 200) << "the first record of each start is left out";
}

TEST(RunReportTest, OtherRanksWriteNothing) {
  const ScratchFolder folder;
  RunReport report(quiet(), folder / "run", false, -1);
  report.run_start(kConfig, kEnvironment, {300, 100});
  report.step(step_record(50));
  report.epoch({});
  report.eval({});
  report.run_end("done", 0, nullptr);
  EXPECT_FALSE(std::filesystem::exists(folder / "run"));
  EXPECT_TRUE(std::isnan(report.images_per_second()));
}

TEST(RunReportTest, WithoutTensorboardThereIsNoFolderForIt) {
  const ScratchFolder folder;
  auto options = quiet();
  options.tensorboard = false;
  RunReport report(options, folder.path(), true, -1);
  report.step(step_record(50));
  EXPECT_FALSE(std::filesystem::exists(folder / "tensorboard"));
  EXPECT_EQ(read_jsonl(folder / "metrics.jsonl").size(), 1U);
}

TEST(RunReportTest, PlainProgressGoesToStandardOutput) {
  const ScratchFolder folder;
  auto options = quiet();
  options.progress = "plain";
  testing::internal::CaptureStdout();
  {
    RunReport report(options, folder.path(), true, -1);
    report.run_start(kConfig, kEnvironment, {300, 100});
    report.step(step_record(50));
    report.eval({{100, 1}, "test", "raw", 60.5, 95, 1.2, 1000, 1});
    report.run_end("done", 0, nullptr);
  }
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_EQ(text.rfind("epoch 0.5/3  step 50/300  loss 2.0000", 0), 0U) << text;
  EXPECT_NE(text.find("\nepoch 1  test top-1 60.50 %  top-5 95.00 %"), std::string::npos) << text;
  EXPECT_NE(text.find("\ndone: 100 steps"), std::string::npos) << text;
}

TEST(RunReportTest, ADiskThatTakesNothingWarnsOncePerFileAndTheRunGoesOn) {
  const ScratchFolder folder;
  write_text(folder / "file", "");
  testing::internal::CaptureStderr();
  RunReport report(quiet(), folder / "file/run", true, 100);  // below a plain file: nothing can be made there
  report.run_start(kConfig, kEnvironment, {300, 100});
  for (std::int64_t step = 101; step < 120; ++step) report.step(step_record(step));
  report.run_end("done", 0, nullptr);
  const std::string warnings = testing::internal::GetCapturedStderr();
  EXPECT_NE(warnings.find("metrics.jsonl"), std::string::npos) << warnings;
  EXPECT_NE(warnings.find("summary"), std::string::npos) << warnings;
  EXPECT_LE(std::count(warnings.begin(), warnings.end(), '\n'), 4) << warnings;
}

TEST(RunReportTest, AnUnknownProgressWordIsTheUsersError) {
  const ScratchFolder folder;
  auto options = quiet();
  options.progress = "loud";
  EXPECT_THROW(RunReport(options, folder.path(), true, -1), ConfigError);
}

}  // namespace
}  // namespace rn::report
