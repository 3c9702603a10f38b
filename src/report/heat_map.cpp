#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/error.h"
#include "report/charts.h"
#include "report/svg_canvas.h"

namespace rn::report {
namespace {

namespace style = chart_style;

constexpr double kRight = 76, kTop = 44, kBars = 56, kGap = 8, kRow = 24, kBottom = 52;

// One hue from nearly white to dark, so that more is always darker; zero is its own, lighter shade. The shade
// follows the square root of the value's share of the largest: one outlier does not bleach all others.
std::string color_of(double share) {
  if (share <= 0) return "#f7f8fa";
  constexpr std::array<std::array<double, 3>, 4> kStops = {
      {{222, 235, 247}, {146, 190, 219}, {49, 121, 181}, {8, 48, 107}}};
  const double at = std::sqrt(std::min(share, 1.0)) * (kStops.size() - 1);
  const auto low = std::min<std::size_t>(static_cast<std::size_t>(at), kStops.size() - 2);
  const double part = at - static_cast<double>(low);
  std::array<int, 3> rgb{};
  for (std::size_t i = 0; i < 3; ++i) {
    rgb[i] = static_cast<int>(std::lround(kStops[low][i] + part * (kStops[low + 1][i] - kStops[low][i])));
  }
  char text[8];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", rgb[0] & 255, rgb[1] & 255, rgb[2] & 255);
  return text;
}

double left_margin(const HeatMap& map) {
  std::size_t longest = 4;
  for (const auto& name : map.rows) longest = std::max(longest, name.size());
  return 28 + 6.8 * static_cast<double>(longest);
}

// Where the columns lie.
struct Columns {
  double left, pitch;
  double gap() const { return pitch >= 6 ? 1 : 0; }  // narrow cells would drown in their gaps
  double at(std::size_t column) const { return left + pitch * static_cast<double>(column); }
  double width() const { return pitch - gap(); }
};

std::string column_name(const HeatMap& map, std::size_t column) {
  return cat(map.column_label, " ", map.columns[column]);
}

void draw_bars(SvgCanvas& canvas, const HeatMap& map, const Columns& columns) {
  const double largest = *std::max_element(map.bars.begin(), map.bars.end());
  if (largest <= 0) return;
  const double right = columns.at(map.columns.size());
  const double base = kTop + kBars;
  for (std::size_t c = 0; c < map.bars.size(); ++c) {
    const double height = kBars * map.bars[c] / largest;
    canvas.rectangle(columns.at(c), base - height, columns.width(), height, "#9aa5b1",
                     cat(column_name(map, c), ": ", chart_number(map.bars[c]), " ", map.bar_label));
  }
  canvas.line(columns.left, base + 0.5, right, base + 0.5, style::kMuted);
  canvas.text(right + 8, kTop + 8, chart_number(largest));
  canvas.text(right + 8, base, "0");
  canvas.text(columns.left - 8, base - kBars / 2 + 4, map.bar_label, {.anchor = TextAnchor::kEnd});
}

void draw_cells(SvgCanvas& canvas, const HeatMap& map, const Columns& columns, double top, double largest) {
  for (std::size_t r = 0; r < map.rows.size(); ++r) {
    const double y = top + kRow * static_cast<double>(r);
    canvas.text(columns.left - 8, y + kRow / 2 + 4, map.rows[r], {.anchor = TextAnchor::kEnd});
    for (std::size_t c = 0; c < map.columns.size(); ++c) {
      const double value = map.values[r * map.columns.size() + c];
      canvas.rectangle(columns.at(c), y, columns.width(), kRow - 1,
                       color_of(largest > 0 ? value / largest : 0),
                       cat(column_name(map, c), ", ", map.rows[r], ": ", chart_number(value)));
    }
  }
}

// The columns' numbers: as many as have room, at even distances.
void draw_column_axis(SvgCanvas& canvas, const HeatMap& map, const Columns& columns, double bottom) {
  const std::size_t count = map.columns.size();
  const double room =
      16 + 7 * static_cast<double>(chart_number(static_cast<double>(map.columns.back())).size());
  const auto step = static_cast<std::size_t>(std::max(1.0, std::ceil(room / columns.pitch)));
  for (std::size_t c = 0; c < count; c += step) {
    const double middle = columns.at(c) + columns.width() / 2;
    if (c > 0 && middle + room / 2 > columns.at(count) + 16) break;  // it would run into the scale's label
    canvas.text(middle, bottom + 16, chart_number(static_cast<double>(map.columns[c])),
                {.anchor = TextAnchor::kMiddle});
  }
  canvas.text(columns.left + columns.pitch * static_cast<double>(count) / 2, bottom + 38, map.column_label,
              {.anchor = TextAnchor::kMiddle});
}

// From zero below to the largest above, by shade: so the middle is a quarter of the largest.
void draw_scale(SvgCanvas& canvas, double left, double top, double height, double largest,
                const std::string& label) {
  constexpr int kSteps = 48;
  for (int i = 0; i < kSteps; ++i) {
    const double shade = 1 - (i + 0.5) / kSteps;
    canvas.rectangle(left, top + height * i / kSteps, 12, height / kSteps + 0.5, color_of(shade * shade));
  }
  const double middle = largest >= 40 ? std::round(largest / 4) : largest / 4;
  canvas.text(left + 18, top + 10, chart_number(largest));
  const bool is_count = largest == std::floor(largest);
  if (height > 60 && (!is_count || middle == std::floor(middle)))
    canvas.text(left + 18, top + height / 2 + 4, chart_number(middle));
  canvas.text(left + 18, top + height, "0");
  canvas.text(left, top + height + 17, label);
}

}  // namespace

std::string heat_map_svg(const HeatMap& map) {
  RN_CHECK(!map.rows.empty() && !map.columns.empty() &&
               map.values.size() == map.rows.size() * map.columns.size() &&
               (map.bars.empty() || map.bars.size() == map.columns.size()),
           map.rows.size(), " rows, ", map.columns.size(), " columns, ", map.values.size(), " values");
  const double left = left_margin(map);
  const double top = kTop + (map.bars.empty() ? 0 : kBars + kGap);
  const double bottom = top + kRow * static_cast<double>(map.rows.size());
  // Few columns stay narrow enough to be cells.
  const double pitch =
      std::min(48.0, (style::kWidth - left - kRight) / static_cast<double>(map.columns.size()));
  const Columns columns = {left, pitch};
  SvgCanvas canvas(style::kWidth, bottom + kBottom, map.title);
  canvas.text(left, 24, map.title, {.size = style::kTitleSize, .color = style::kInk, .bold = true});
  const double largest = *std::max_element(map.values.begin(), map.values.end());
  if (!map.bars.empty()) draw_bars(canvas, map, columns);
  draw_cells(canvas, map, columns, top, largest);
  draw_column_axis(canvas, map, columns, bottom);
  draw_scale(canvas, columns.at(map.columns.size()) + 12, top, bottom - top - 1, largest, map.value_label);
  return canvas.finish();
}

}  // namespace rn::report
