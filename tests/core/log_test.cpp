#include "core/log.h"

#include <gtest/gtest.h>

namespace rn {
namespace {

// What `action` writes to stderr.
template <typename Action>
std::string logged(Action action) {
  testing::internal::CaptureStderr();
  action();
  return testing::internal::GetCapturedStderr();
}

TEST(LogTest, LinesOfSeveralRanksBeginWithTheirRank) {
  init_logging(LogLevel::kInfo, 2, 4, /*all_ranks=*/true);
  const std::string text = logged([] { log_info("step ", 3); });
  EXPECT_NE(text.find("[rank 2] info: step 3\n"), std::string::npos) << text;
}

TEST(LogTest, ASingleRankHasNoPrefix) {
  init_logging(LogLevel::kInfo, 0, 1);
  const std::string text = logged([] { log_warning("slow disk"); });
  EXPECT_NE(text.find("warning: slow disk\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("rank"), std::string::npos) << text;
}

TEST(LogTest, WhatAllRanksSayAlikeIsSaidByRankZero) {
  init_logging(LogLevel::kInfo, 1, 2);
  EXPECT_EQ(logged([] { log_info("loading"); }), "");
  EXPECT_EQ(logged([] { log_warning("careful"); }), "");
  EXPECT_NE(logged([] { log_error("mine alone"); }), "");
}

TEST(LogTest, TheLevelFilters) {
  init_logging(LogLevel::kWarning, 0, 1);
  EXPECT_EQ(logged([] { log_debug("d"); }), "");
  EXPECT_EQ(logged([] { log_info("i"); }), "");
  EXPECT_NE(logged([] { log_warning("w"); }), "");
  init_logging(LogLevel::kDebug, 0, 1);
  EXPECT_NE(logged([] { log_debug("d"); }), "");
}

TEST(LogTest, BracesInAMessageAreText) {
  init_logging(LogLevel::kInfo, 0, 1);
  const std::string text = logged([] { log_info("path {} and {0:x} and %v"); });
  EXPECT_NE(text.find("path {} and {0:x} and %v\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace rn
