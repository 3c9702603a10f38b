#include "train/lr_schedule.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"

namespace rn::train {
namespace {

ScheduleOptions schedule_from(const nlohmann::json& json) {
  ScheduleOptions options;
  options.name = json.at("name");
  options.warmup_epochs = json.value("warmup_epochs", options.warmup_epochs);
  options.warmup_start = json.value("warmup_start", options.warmup_start);
  options.min_lr = json.value("min_lr", options.min_lr);
  options.pct_start = json.value("pct_start", options.pct_start);
  options.div_factor = json.value("div_factor", options.div_factor);
  options.final_div_factor = json.value("final_div_factor", options.final_div_factor);
  options.anneal = json.value("anneal", options.anneal);
  return options;
}

SwaOptions swa_from(const nlohmann::json& json) {
  SwaOptions options;
  options.enabled = true;
  options.start = json.at("start");
  options.lr = json.at("lr");
  options.anneal_epochs = json.at("anneal_epochs");
  return options;
}

ScheduleOptions named(const std::string& name) {
  ScheduleOptions options;
  options.name = name;
  return options;
}

TEST(LrScheduleTest, EqualsPyTorchsSchedulersStepByStep) {
  std::ifstream file(RN_TEST_DATA_DIR "/train/schedules.json");
  ASSERT_TRUE(file) << "tests/data/train/schedules.json is missing";
  const auto golden = nlohmann::json::parse(file);
  ASSERT_GE(golden.at("cases").size(), 10U);
  for (const auto& entry : golden.at("cases")) {
    const double lr = entry.at("lr");
    const LrSchedule schedule(schedule_from(entry.at("schedule")),
                              entry.contains("swa") ? swa_from(entry.at("swa")) : SwaOptions{}, lr,
                              entry.at("steps_per_epoch"), entry.at("total_steps"));
    const auto rates = entry.at("rates").get<std::vector<double>>();
    for (std::size_t step = 0; step < rates.size(); ++step) {
      // Float64 on both sides, but PyTorch's cosine and SWALR are recursive: each step adds a rounding.
      EXPECT_NEAR(schedule.at(static_cast<std::int64_t>(step)), rates[step], 1e-12 + 1e-9 * lr)
          << "step " << step << " of " << entry.at("schedule") << " " << entry.value("swa", nlohmann::json{});
    }
  }
}

TEST(LrScheduleTest, StepsAfterTheLastKeepItsRate) {
  for (const char* name : {"constant", "cosine", "one_cycle"}) {
    const LrSchedule schedule(named(name), {}, 0.1, 10, 30);
    EXPECT_EQ(schedule.at(30), schedule.at(29)) << name;
    EXPECT_EQ(schedule.at(1000), schedule.at(29)) << name;
  }
}

TEST(LrScheduleTest, WarmupMayBeAsLongAsTheRunOrLonger) {
  auto options = named("cosine");
  options.warmup_epochs = 4;
  options.warmup_start = 0.5;
  const LrSchedule schedule(options, {}, 0.1, 10, 20);
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.05);
  EXPECT_DOUBLE_EQ(schedule.at(19), 0.1 * (0.5 + 0.5 * 19 / 40));
}

TEST(LrScheduleTest, CyclicSwaFallsLinearlyAndEndsEachCycleAtItsBottom) {
  SwaOptions swa;
  swa.enabled = true;
  swa.start = 2;
  swa.lr = 0.05;
  swa.min_lr = 0.01;
  swa.cycle_epochs = 0.4;
  const LrSchedule schedule(named("constant"), swa, 0.1, 10, 30);
  EXPECT_EQ(schedule.swa_start(), 20);
  EXPECT_EQ(schedule.at(19), 0.1);
  for (const std::int64_t cycle : {20, 24}) {  // 4 steps each: t = 1/4, 2/4, 3/4, 1
    EXPECT_NEAR(schedule.at(cycle), 0.04, 1e-15);
    EXPECT_NEAR(schedule.at(cycle + 1), 0.03, 1e-15);
    EXPECT_NEAR(schedule.at(cycle + 2), 0.02, 1e-15);
    EXPECT_NEAR(schedule.at(cycle + 3), 0.01, 1e-15);
  }
}

std::vector<std::int64_t> snapshots(const LrSchedule& schedule, std::int64_t steps) {
  std::vector<std::int64_t> taken;
  for (std::int64_t step = 0; step < steps; ++step) {
    if (schedule.swa_snapshot_after(step)) taken.push_back(step);
  }
  return taken;
}

TEST(LrScheduleTest, SwaTakesSnapshotsAtTheEndsOfIntervalsOrCycles) {
  SwaOptions swa;
  swa.enabled = true;
  swa.start = 0.5;
  EXPECT_EQ(snapshots(LrSchedule(named("cosine"), swa, 0.1, 5, 20), 40), (std::vector<std::int64_t>{14, 19}));
  swa.cycle_epochs = 0.6;  // 3 steps; the interval yields to the cycle
  EXPECT_EQ(snapshots(LrSchedule(named("cosine"), swa, 0.1, 5, 20), 40),
            (std::vector<std::int64_t>{12, 15, 18}));
  swa.cycle_epochs = 0;
  swa.interval_epochs = 100;  // longer than what is left: the average is the last step's weights, not nothing
  EXPECT_EQ(snapshots(LrSchedule(named("cosine"), swa, 0.1, 5, 20), 40), (std::vector<std::int64_t>{19}));
  swa.enabled = false;
  EXPECT_EQ(snapshots(LrSchedule(named("cosine"), swa, 0.1, 5, 20), 40), (std::vector<std::int64_t>{}));
}

TEST(LrScheduleTest, SwaThatStartsAfterTheRunChangesNothing) {
  SwaOptions swa;
  swa.enabled = true;
  swa.start = 50;
  const LrSchedule with(named("cosine"), swa, 0.1, 10, 30);
  const LrSchedule without(named("cosine"), {}, 0.1, 10, 30);
  EXPECT_EQ(with.swa_start(), 30);
  for (std::int64_t step = 0; step < 35; ++step) EXPECT_EQ(with.at(step), without.at(step)) << step;
}

TEST(LrScheduleTest, RefusesWhatHasNoMeaningNamingTheKey) {
  const auto message_of = [](const ScheduleOptions& schedule, const SwaOptions& swa) -> std::string {
    try {
      LrSchedule(schedule, swa, 0.1, 10, 30);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(message_of(named("cosin"), {}).find("constant, cosine, one_cycle"), std::string::npos);
  auto schedule = named("one_cycle");
  schedule.anneal = "exp";
  EXPECT_NE(message_of(schedule, {}).find("schedule.anneal"), std::string::npos);
  schedule = named("one_cycle");
  schedule.pct_start = 1.5;
  EXPECT_NE(message_of(schedule, {}).find("schedule.pct_start"), std::string::npos);
  SwaOptions swa;
  swa.interval_epochs = 0;
  EXPECT_EQ(message_of(named("cosine"), swa), "accepted") << "swa is off: its values do not matter";
  swa.enabled = true;
  EXPECT_NE(message_of(named("cosine"), swa).find("swa.interval_epochs"), std::string::npos);
}

}  // namespace
}  // namespace rn::train
