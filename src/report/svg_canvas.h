// What the charts of a run folder are drawn with: a few SVG elements, axis ticks and numbers in words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rn::report {

// One look for all charts.
namespace chart_style {
constexpr const char* kInk = "#1f2933";    // titles and values
constexpr const char* kMuted = "#65717f";  // axes and labels
constexpr const char* kGrid = "#e4e7eb";
constexpr const char* kBlue = "#2166ac";
constexpr double kWidth = 760;
constexpr double kTitleSize = 15;
constexpr double kLabelSize = 12;
}  // namespace chart_style

enum class TextAnchor { kStart, kMiddle, kEnd };

struct TextStyle {
  double size = chart_style::kLabelSize;
  const char* color = chart_style::kMuted;
  TextAnchor anchor = TextAnchor::kStart;
  bool bold = false;
  bool upright = false;  // turned by 90 degrees, read from below
};

// Collects elements in pixels; the origin is the upper left corner. Not thread-safe.
class SvgCanvas {
 public:
  SvgCanvas(double width, double height, std::string_view title);

  void text(double x, double y, std::string_view words, const TextStyle& style = {});
  void line(double x1, double y1, double x2, double y2, std::string_view color, double width = 1);
  // `hint`: shown where a pointer rests on it; empty: none.
  void rectangle(double x, double y, double width, double height, std::string_view color,
                 std::string_view hint = {});
  void circle(double x, double y, double radius, std::string_view color, std::string_view hint = {});
  void polyline(const std::vector<std::pair<double, double>>& points, std::string_view color, double width);

  std::string finish() const;  // the whole document

 private:
  void hinted(std::string element, std::string_view hint);

  std::string head_;
  std::string body_;
};

// A linear map from values to pixels with ticks at round values.
class Axis {
 public:
  // Covers [low, high] and what lies up to the next round value around it; an empty range is widened.
  // `ticks`: about so many, `smallest_step` apart at least.
  Axis(double low, double high, double from_pixel, double to_pixel, int ticks = 5, double smallest_step = 0);

  double pixel(double value) const;
  const std::vector<double>& ticks() const { return ticks_; }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double low_, high_, from_pixel_, to_pixel_;
  std::vector<double> ticks_;
};

// 12345 -> "12,345", 0.5 -> "0.5", 1.25e-7 -> "1.25e-07": four digits behind the point at most.
std::string chart_number(double value);

// The same with four significant digits: 10.8333 -> "10.83".
std::string rounded_chart_number(double value);

}  // namespace rn::report
