#include "report/charts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>

#include "report/svg_canvas.h"

namespace rn::report {
namespace {

// Whether tags are balanced and closed in order, and markup characters stand in tags only. Empty: well
// formed.
std::string fault_in(const std::string& svg) {
  std::vector<std::string> open;
  std::size_t at = 0;
  while ((at = svg.find('<', at)) != std::string::npos) {
    const auto end = svg.find('>', at);
    if (end == std::string::npos) return "a tag without end";
    const std::string tag = svg.substr(at + 1, end - at - 1);
    if (tag.find('<') != std::string::npos) return "a tag in a tag: " + tag;
    if (tag.starts_with("/")) {
      if (open.empty() || open.back() != tag.substr(1)) return "closes what is not open: " + tag;
      open.pop_back();
    } else if (!tag.ends_with("/")) {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
    at = end;
  }
  if (!open.empty()) return "never closed: " + open.back();
  for (const char* word : {"nan", "inf"}) {
    if (svg.find(std::string("\"") + word) != std::string::npos)
      return std::string(word) + " as a coordinate";
  }
  return {};
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

HeatMap small_map() {
  return {.title = "a <split> & \"more\"",
          .column_label = "client",
          .columns = {0, 7},
          .rows = {"cat", "dog", "ship"},
          .values = {1, 0, 3, 4, 0, 6},
          .value_label = "images",
          .bars = {4, 10},
          .bar_label = "images"};
}

TEST(ChartNumberTest, WritesNumbersAsPeopleDo) {
  const std::vector<std::pair<double, std::string>> cases = {
      {0, "0"},        {-0.0, "0"},         {1, "1"},          {-1, "-1"},
      {0.5, "0.5"},    {1.0 / 3, "0.3333"}, {12345, "12,345"}, {-12345.5, "-12,345.5"},
      {999, "999"},    {1000, "1,000"},     {-100, "-100"},    {1234567, "1,234,567"},
      {1e-5, "1e-05"}, {2.5e20, "2.5e+20"}};
  for (const auto& [value, text] : cases) EXPECT_EQ(chart_number(value), text);
}

TEST(AxisTest, TicksAreRoundAndCoverTheRange) {
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{
           {0, 1}, {0.3, 0.7}, {-5, 1234}, {1e-9, 2e-9}, {3, 3}, {0, 0}, {-2, -2}, {1e12, 3e12}, {0, 99.9}}) {
    const Axis axis(low, high, 100, 500);
    const double rounding = 1e-12 * (axis.high() - axis.low());
    EXPECT_LE(axis.low(), low + rounding);
    EXPECT_GE(axis.high(), high - rounding);
    EXPECT_GE(axis.ticks().size(), 2U) << low << " .. " << high;
    EXPECT_LE(axis.ticks().size(), 12U) << low << " .. " << high;
    EXPECT_DOUBLE_EQ(axis.pixel(axis.low()), 100);
    EXPECT_DOUBLE_EQ(axis.pixel(axis.high()), 500);
  }
}

TEST(AxisTest, CountsHaveNoTicksBetweenWholeNumbers) {
  EXPECT_EQ(Axis(0, 4, 0, 100, 8, /*smallest_step=*/1).ticks(), (std::vector<double>{0, 1, 2, 3, 4}));
  EXPECT_EQ(Axis(0, 1, 0, 100, 8, 1).ticks(), (std::vector<double>{0, 1}));
  EXPECT_EQ(Axis(0, 40, 0, 100, 8, 1).ticks().size(), 9u) << "more are as far apart as ever";
}

TEST(ChartNumberTest, RoundedNumbersHaveFourDigits) {
  EXPECT_EQ(rounded_chart_number(10.83333), "10.83");
  EXPECT_EQ(rounded_chart_number(0), "0");
  EXPECT_EQ(rounded_chart_number(-1234.56), "-1,235");
}

TEST(HeatMapTest, TheLastColumnsNumberKeepsAwayFromTheScale) {
  HeatMap map{.title = "t", .column_label = "client", .rows = {"cat"}, .value_label = "images"};
  for (std::int64_t c = 0; c < 100; ++c) {
    map.columns.push_back(100 * c);
    map.values.push_back(1);
  }
  const auto svg = heat_map_svg(map);
  EXPECT_NE(svg.find(">9,000</text>"), std::string::npos);
  EXPECT_EQ(svg.find(">9,900</text>"), std::string::npos);
}

TEST(HeatMapTest, CountsHaveNoFractionInTheMiddleOfTheirScale) {
  HeatMap map = small_map();
  map.values[5] = 27;
  EXPECT_EQ(heat_map_svg(map).find(">6.75</text>"), std::string::npos);
  map.values[5] = 28;
  EXPECT_EQ(count_of(heat_map_svg(map), ">7</text>"), 2u) << "of the scale, and the second client";
}

TEST(HeatMapTest, HasACellForEveryValueAndABarForEveryColumn) {
  const auto svg = heat_map_svg(small_map());
  EXPECT_EQ(fault_in(svg), "");
  EXPECT_NE(svg.find("client 7, dog: 4<"), std::string::npos);
  EXPECT_NE(svg.find("client 0, dog: 3<"), std::string::npos);
  EXPECT_NE(svg.find("client 7: 10 images<"), std::string::npos);
  EXPECT_EQ(count_of(svg, "<title>client"), 6U + 2U);
  EXPECT_NE(svg.find("a &lt;split&gt; &amp; &quot;more&quot;"), std::string::npos);
}

TEST(HeatMapTest, TheLargestValueIsTheDarkestAndNothingIsNearlyWhite) {
  const auto svg = heat_map_svg(small_map());
  std::smatch match;
  ASSERT_TRUE(std::regex_search(svg, match, std::regex("fill=\"(#[0-9a-f]{6})\"><title>client 7, ship: 6")));
  EXPECT_EQ(match[1], "#08306b");
  ASSERT_TRUE(std::regex_search(svg, match, std::regex("fill=\"(#[0-9a-f]{6})\"><title>client 7, cat: 0")));
  EXPECT_EQ(match[1], "#f7f8fa");
}

TEST(HeatMapTest, ZerosAndASingleColumnAreAMapToo) {
  const HeatMap map = {
      .title = "t", .column_label = "client", .columns = {0}, .rows = {"a"}, .values = {0}, .bars = {0}};
  EXPECT_EQ(fault_in(heat_map_svg(map)), "");
}

TEST(LineChartTest, HasEveryCurveWithItsLastValue) {
  const auto svg =
      line_chart_svg({.title = "Accuracy",
                      .x_label = "round",
                      .y_label = "%",
                      .curves = {{"test", {1, 2, 3}, {10, 20, 30.456789}}, {"train", {1, 2}, {5, 6}}}});
  EXPECT_EQ(fault_in(svg), "");
  EXPECT_EQ(count_of(svg, "<polyline"), 2U);
  EXPECT_NE(svg.find("test  30.46<"), std::string::npos);
  EXPECT_NE(svg.find("train  6<"), std::string::npos);
}

TEST(LineChartTest, BeginsAtZeroWhereItIsToldTo) {
  LineChart chart{"t", "round", "y", {{"a", {3, 4}, {1, 2}}}};
  EXPECT_EQ(line_chart_svg(chart).find(">0</text>"), std::string::npos);
  EXPECT_NE(line_chart_svg(chart).find(">3.2</text>"), std::string::npos);
  chart.x_from_zero = chart.x_is_count = true;
  EXPECT_NE(line_chart_svg(chart).find(">0</text>"), std::string::npos);
  EXPECT_EQ(line_chart_svg(chart).find(">3.2</text>"), std::string::npos);
}

TEST(LineChartTest, WhatIsNotFiniteInterruptsTheLine) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto svg =
      line_chart_svg({.title = "t", .curves = {{"a", {1, 2, 3, 4, 5, 6}, {1, 2, nan, 4, 5, INFINITY}}}});
  EXPECT_EQ(fault_in(svg), "");
  EXPECT_EQ(count_of(svg, "<polyline"), 2U);
}

TEST(LineChartTest, WithoutValuesItSaysSo) {
  for (const auto& chart :
       {LineChart{.title = "t"}, LineChart{.title = "t", .curves = {{"a", {1}, {NAN}}}}}) {
    const auto svg = line_chart_svg(chart);
    EXPECT_EQ(fault_in(svg), "");
    EXPECT_NE(svg.find("no values"), std::string::npos);
  }
}

TEST(LineChartTest, ManyRoundsAreALineWithoutMarks) {
  Curve curve{"a", {}, {}};
  for (int i = 0; i < 1000; ++i) {
    curve.x.push_back(i);
    curve.y.push_back(i * i);
  }
  EXPECT_EQ(count_of(line_chart_svg({.title = "t", .curves = {curve}}), "<circle"), 0U);
}

TEST(HistogramTest, CountsEveryValueOnce) {
  std::vector<double> values;
  for (int i = 0; i < 500; ++i) values.push_back(std::fmod(i * 37.7, 100));
  const auto svg = histogram_svg({.title = "t", .x_label = "%", .y_label = "clients", .values = values});
  EXPECT_EQ(fault_in(svg), "");
  const std::regex bin("to [0-9.,e+-]+: ([0-9,]+)<");
  int sum = 0;
  for (auto i = std::sregex_iterator(svg.begin(), svg.end(), bin); i != std::sregex_iterator(); ++i) {
    sum += std::stoi((*i)[1]);
  }
  EXPECT_EQ(sum, 500);
  EXPECT_NE(svg.find("mean "), std::string::npos);
}

TEST(HistogramTest, EqualValuesOneValueAndNone) {
  EXPECT_EQ(fault_in(histogram_svg({.title = "t", .values = {3, 3, 3}})), "");
  EXPECT_EQ(fault_in(histogram_svg({.title = "t", .values = {0}})), "");
  EXPECT_NE(histogram_svg({.title = "t"}).find("no values"), std::string::npos);
}

}  // namespace
}  // namespace rn::report
