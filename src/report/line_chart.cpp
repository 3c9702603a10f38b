#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "report/charts.h"
#include "report/svg_canvas.h"

namespace rn::report {
namespace {

namespace style = chart_style;

// Told apart with every kind of color vision (Okabe and Ito), the palest left out.
constexpr std::array<const char*, 8> kColors = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                "#b07d00", "#56b4e9", "#7a5195", "#4d4d4d"};
constexpr double kHeight = 380, kLeft = 72, kRight = 24, kTop = 68, kBottom = 52;

struct Range {
  double low = INFINITY;
  double high = -INFINITY;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

bool is_drawn(const Curve& curve, std::size_t i) {
  return std::isfinite(curve.x[i]) && std::isfinite(curve.y[i]);
}

void draw_curve(SvgCanvas& canvas, const Curve& curve, const char* color, const Axis& x, const Axis& y) {
  constexpr std::size_t kMostMarks = 60;  // beyond it the marks would hide the line
  std::vector<std::pair<double, double>> run;
  const auto end_run = [&] {
    if (run.size() > 1) canvas.polyline(run, color, 2);
    if (run.size() == 1) canvas.circle(run[0].first, run[0].second, 3, color);
    run.clear();
  };
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    if (is_drawn(curve, i)) {
      run.emplace_back(x.pixel(curve.x[i]), y.pixel(curve.y[i]));
    } else {
      end_run();
    }
  }
  end_run();
  if (curve.x.size() > kMostMarks) return;
  for (std::size_t i = 0; i < curve.x.size(); ++i) {
    if (!is_drawn(curve, i)) continue;
    canvas.circle(x.pixel(curve.x[i]), y.pixel(curve.y[i]), 3, color,
                  cat(curve.name, ", ", chart_number(curve.x[i]), ": ", chart_number(curve.y[i])));
  }
}

// A dash in the curve's color, its name, its last value.
void draw_legend(SvgCanvas& canvas, const std::vector<Curve>& curves) {
  constexpr double kCharacter = 6.8;  // an average one at this size
  double left = kLeft;
  for (std::size_t c = 0; c < curves.size(); ++c) {
    std::string name = curves[c].name;
    for (std::size_t i = curves[c].x.size(); i-- > 0;) {
      if (!is_drawn(curves[c], i)) continue;
      name += cat("  ", rounded_chart_number(curves[c].y[i]));
      break;
    }
    canvas.line(left, 44, left + 18, 44, kColors[c % kColors.size()], 3);
    canvas.text(left + 24, 48, name, {.color = style::kInk});
    left += 24 + kCharacter * static_cast<double>(name.size()) + 20;
  }
}

}  // namespace

std::string line_chart_svg(const LineChart& chart) {
  RN_CHECK(chart.curves.size() <= kColors.size(), chart.curves.size(), " curves");
  SvgCanvas canvas(style::kWidth, kHeight, chart.title);
  canvas.text(kLeft, 24, chart.title, {.size = style::kTitleSize, .color = style::kInk, .bold = true});
  Range x_range, y_range;
  for (const auto& curve : chart.curves) {
    RN_CHECK(curve.x.size() == curve.y.size(), curve.name, ": ", curve.x.size(), " and ", curve.y.size());
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      if (!is_drawn(curve, i)) continue;
      x_range.add(curve.x[i]);
      y_range.add(curve.y[i]);
    }
  }
  if (x_range.empty()) {
    canvas.text(style::kWidth / 2, kHeight / 2, "no values", {.anchor = TextAnchor::kMiddle});
    return canvas.finish();
  }
  if (chart.x_from_zero) x_range.add(0);
  const Axis x(x_range.low, x_range.high, kLeft, style::kWidth - kRight, 8, chart.x_is_count ? 1 : 0);
  const Axis y(y_range.low, y_range.high, kHeight - kBottom, kTop);
  for (const double tick : y.ticks()) {
    canvas.line(kLeft, y.pixel(tick), style::kWidth - kRight, y.pixel(tick), style::kGrid);
    canvas.text(kLeft - 8, y.pixel(tick) + 4, chart_number(tick), {.anchor = TextAnchor::kEnd});
  }
  for (const double tick : x.ticks()) {
    canvas.line(x.pixel(tick), kHeight - kBottom, x.pixel(tick), kHeight - kBottom + 4, style::kMuted);
    canvas.text(x.pixel(tick), kHeight - kBottom + 19, chart_number(tick), {.anchor = TextAnchor::kMiddle});
  }
  canvas.line(kLeft, kHeight - kBottom, style::kWidth - kRight, kHeight - kBottom, style::kMuted);
  canvas.text((kLeft + style::kWidth - kRight) / 2, kHeight - 12, chart.x_label,
              {.anchor = TextAnchor::kMiddle});
  canvas.text(18, (kTop + kHeight - kBottom) / 2, chart.y_label,
              {.anchor = TextAnchor::kMiddle, .upright = true});
  for (std::size_t c = 0; c < chart.curves.size(); ++c) {
    draw_curve(canvas, chart.curves[c], kColors[c], x, y);
  }
  draw_legend(canvas, chart.curves);
  return canvas.finish();
}

}  // namespace rn::report
