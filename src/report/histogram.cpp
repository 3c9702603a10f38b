#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "report/charts.h"
#include "report/svg_canvas.h"

namespace rn::report {
namespace {

namespace style = chart_style;

constexpr double kHeight = 320, kLeft = 72, kRight = 24, kTop = 60, kBottom = 52;

double quantile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

// Freedman and Diaconis's width, as long as that makes a readable number of bins.
int bins_for(const std::vector<double>& sorted) {
  const double range = sorted.back() - sorted.front();
  const double width =
      2 * (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / std::cbrt(static_cast<double>(sorted.size()));
  return width > 0 ? static_cast<int>(std::clamp(std::ceil(range / width), 5.0, 60.0)) : 20;
}

void mark(SvgCanvas& canvas, const Axis& x, double value, const std::string& name, double label_y) {
  canvas.line(x.pixel(value), kTop - 12, x.pixel(value), kHeight - kBottom, style::kInk);
  const bool left = x.pixel(value) > style::kWidth / 2;
  canvas.text(x.pixel(value) + (left ? -5 : 5), label_y, cat(name, " ", rounded_chart_number(value)),
              {.color = style::kInk, .anchor = left ? TextAnchor::kEnd : TextAnchor::kStart});
}

}  // namespace

std::string histogram_svg(const Histogram& histogram) {
  SvgCanvas canvas(style::kWidth, kHeight, histogram.title);
  canvas.text(kLeft, 24, histogram.title, {.size = style::kTitleSize, .color = style::kInk, .bold = true});
  if (histogram.values.empty()) {
    canvas.text(style::kWidth / 2, kHeight / 2, "no values", {.anchor = TextAnchor::kMiddle});
    return canvas.finish();
  }
  auto sorted = histogram.values;
  std::sort(sorted.begin(), sorted.end());
  RN_CHECK(std::isfinite(sorted.front()) && std::isfinite(sorted.back()), "values that are not finite");
  const Axis x(sorted.front(), sorted.back(), kLeft, style::kWidth - kRight, 8);
  const int bins = bins_for(sorted);
  std::vector<double> counts(static_cast<std::size_t>(bins), 0.0);
  const double width = (x.high() - x.low()) / bins;
  for (const double value : sorted) {
    counts[static_cast<std::size_t>(std::min(bins - 1, static_cast<int>((value - x.low()) / width)))] += 1;
  }
  const Axis y(0, *std::max_element(counts.begin(), counts.end()), kHeight - kBottom, kTop, 4, 1);
  for (const double tick : y.ticks()) {
    canvas.line(kLeft, y.pixel(tick), style::kWidth - kRight, y.pixel(tick), style::kGrid);
    canvas.text(kLeft - 8, y.pixel(tick) + 4, chart_number(tick), {.anchor = TextAnchor::kEnd});
  }
  for (std::size_t bin = 0; bin < counts.size(); ++bin) {
    const double from = x.low() + width * static_cast<double>(bin);
    canvas.rectangle(
        x.pixel(from) + 0.5, y.pixel(counts[bin]), x.pixel(from + width) - x.pixel(from) - 1,
        kHeight - kBottom - y.pixel(counts[bin]), style::kBlue,
        cat(chart_number(from), " to ", chart_number(from + width), ": ", chart_number(counts[bin])));
  }
  canvas.line(kLeft, kHeight - kBottom, style::kWidth - kRight, kHeight - kBottom, style::kMuted);
  for (const double tick : x.ticks()) {
    canvas.text(x.pixel(tick), kHeight - kBottom + 19, chart_number(tick), {.anchor = TextAnchor::kMiddle});
  }
  canvas.text((kLeft + style::kWidth - kRight) / 2, kHeight - 12, histogram.x_label,
              {.anchor = TextAnchor::kMiddle});
  canvas.text(18, (kTop + kHeight - kBottom) / 2, histogram.y_label,
              {.anchor = TextAnchor::kMiddle, .upright = true});
  double sum = 0;
  for (const double value : sorted) sum += value;
  mark(canvas, x, sum / static_cast<double>(sorted.size()), "mean", kTop - 4);
  return canvas.finish();
}

}  // namespace rn::report
