#include "config/scalar.h"

#include <gtest/gtest.h>

#include "config/option_table.h"

namespace rn::config {
namespace {

Option option_of(ValueType type) {
  Option option;
  option.type = type;
  return option;
}

TEST(ScalarTest, NumbersAreThoseOfYaml12) {
  const auto option = option_of(ValueType::kNumber);
  const std::pair<const char*, double> good[] = {
      {"0", 0},     {"1", 1},      {"-1", -1},     {"+1", 1},       {"0.5", 0.5}, {".5", 0.5},  {"5.", 5},
      {"1e3", 1e3}, {"1E+3", 1e3}, {"1e-3", 1e-3}, {"-.5e1", -5.0}, {"0e0", 0},   {"1e-999", 0}};
  for (const auto& [text, value] : good) {
    const auto result = read_scalar(option, {text});
    ASSERT_TRUE(result.value.has_value()) << text << ": " << result.error;
    EXPECT_EQ(std::get<double>(*result.value), value) << text;
  }
  for (const char* text :
       {"",    ".",     "e3",  "1e", "1e+", "1.2.3", "0x10", "1_000", "1,5",   " 1",  "1 ",   "nan", ".nan",
        "inf", "-.inf", "++1", "1f", "00",  "01",    "01.5", "-01",   "1e999", "0o7", "1:30", "½"}) {
    EXPECT_FALSE(read_scalar(option, {text}).value.has_value()) << text;
  }
}

TEST(ScalarTest, IntegersAreDecimalDigits) {
  const auto option = option_of(ValueType::kInteger);
  const std::pair<const char*, std::int64_t> good[] = {{"0", 0},
                                                       {"-0", 0},
                                                       {"+7", 7},
                                                       {"-12", -12},
                                                       {"9223372036854775807", INT64_MAX},
                                                       {"-9223372036854775808", INT64_MIN}};
  for (const auto& [text, value] : good) {
    const auto result = read_scalar(option, {text});
    ASSERT_TRUE(result.value.has_value()) << text << ": " << result.error;
    EXPECT_EQ(std::get<std::int64_t>(*result.value), value) << text;
  }
  for (const char* text :
       {"", "-", "010", "1.0", "1e3", "0x10", "0o10", "1_000", "9223372036854775808", "true", "1 2"}) {
    EXPECT_FALSE(read_scalar(option, {text}).value.has_value()) << text;
  }
}

TEST(ScalarTest, BooleansAreTwoWords) {
  const auto option = option_of(ValueType::kBool);
  EXPECT_EQ(read_scalar(option, {"true"}).value, Value(true));
  EXPECT_EQ(read_scalar(option, {"false"}).value, Value(false));
  for (const char* text : {"True", "TRUE", "yes", "no", "on", "off", "y", "n", "1", "0", "t", ""}) {
    EXPECT_FALSE(read_scalar(option, {text}).value.has_value()) << text;
  }
}

TEST(ScalarTest, QuotedTextIsTextOnly) {
  EXPECT_FALSE(read_scalar(option_of(ValueType::kInteger), {"1", true}).value.has_value());
  EXPECT_FALSE(read_scalar(option_of(ValueType::kNumber), {"1", true}).value.has_value());
  EXPECT_FALSE(read_scalar(option_of(ValueType::kBool), {"true", true}).value.has_value());
  EXPECT_EQ(read_scalar(option_of(ValueType::kText), {"1", true}).value, Value(std::string("1")));
  EXPECT_EQ(read_scalar(option_of(ValueType::kDuration), {"1:30", true}).value, Value(90.0));
  EXPECT_EQ(read_scalar(*find_option("model.norm"), {"group", true}).value, Value(std::string("group")));
}

TEST(ScalarTest, DurationsAreSecondsOrClockTime) {
  const std::pair<const char*, double> good[] = {
      {"0", 0},          {"90", 90},           {"1.5", 1.5}, {"1:30", 90},      {"90:00", 5400},
      {"1:00:00", 3600}, {"48:00:01", 172801}, {"0:05", 5},  {"01:02:03", 3723}};
  for (const auto& [text, seconds] : good) EXPECT_EQ(parse_duration(text), seconds) << text;
  for (const char* text :
       {"", ":", "1:", ":30", "1:60", "1:2:3:4", "1:61:00", "1h", "-1:30", "1:-3", "1.5:00", "a:b"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace rn::config
