#include "report/svg_canvas.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/error.h"

namespace rn::report {
namespace {

// Markup characters and what XML forbids altogether are replaced.
std::string escaped(std::string_view words) {
  std::string text;
  for (const char c : words) {
    if (c == '<')
      text += "&lt;";
    else if (c == '>')
      text += "&gt;";
    else if (c == '&')
      text += "&amp;";
    else if (c == '"')
      text += "&quot;";
    else if (static_cast<unsigned char>(c) < ' ')
      text += ' ';
    else
      text += c;
  }
  return text;
}

// Pixels to a tenth are sharp enough, and keep the file small.
std::string pixels(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f", value);
  std::string text = buffer;
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

const char* name_of(TextAnchor anchor) {
  return anchor == TextAnchor::kStart ? "start" : anchor == TextAnchor::kMiddle ? "middle" : "end";
}

}  // namespace

SvgCanvas::SvgCanvas(double width, double height, std::string_view title) {
  const std::string size = cat("width=\"", pixels(width), "\" height=\"", pixels(height), "\"");
  head_ =
      cat("<svg xmlns=\"http://www.w3.org/2000/svg\" ", size, " viewBox=\"0 0 ", pixels(width), ' ',
          pixels(height), "\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\">\n<title>",
          escaped(title), "</title>\n<rect ", size, " fill=\"#ffffff\"/>\n");
}

void SvgCanvas::text(double x, double y, std::string_view words, const TextStyle& style) {
  body_ += cat("<text x=\"", pixels(x), "\" y=\"", pixels(y), "\" font-size=\"", pixels(style.size),
               "\" fill=\"", style.color, '"');
  if (style.anchor != TextAnchor::kStart) body_ += cat(" text-anchor=\"", name_of(style.anchor), '"');
  if (style.bold) body_ += " font-weight=\"600\"";
  if (style.upright) body_ += cat(" transform=\"rotate(-90 ", pixels(x), ' ', pixels(y), ")\"");
  body_ += cat('>', escaped(words), "</text>\n");
}

void SvgCanvas::line(double x1, double y1, double x2, double y2, std::string_view color, double width) {
  body_ += cat("<line x1=\"", pixels(x1), "\" y1=\"", pixels(y1), "\" x2=\"", pixels(x2), "\" y2=\"",
               pixels(y2), "\" stroke=\"", color, "\" stroke-width=\"", pixels(width), "\"/>\n");
}

void SvgCanvas::hinted(std::string element, std::string_view hint) {
  body_ += hint.empty() ? cat('<', element, "/>\n")
                        : cat('<', element, "><title>", escaped(hint), "</title></",
                              element.substr(0, element.find(' ')), ">\n");
}

void SvgCanvas::rectangle(double x, double y, double width, double height, std::string_view color,
                          std::string_view hint) {
  hinted(cat("rect x=\"", pixels(x), "\" y=\"", pixels(y), "\" width=\"", pixels(width), "\" height=\"",
             pixels(height), "\" fill=\"", color, '"'),
         hint);
}

void SvgCanvas::circle(double x, double y, double radius, std::string_view color, std::string_view hint) {
  hinted(cat("circle cx=\"", pixels(x), "\" cy=\"", pixels(y), "\" r=\"", pixels(radius), "\" fill=\"", color,
             '"'),
         hint);
}

void SvgCanvas::polyline(const std::vector<std::pair<double, double>>& points, std::string_view color,
                         double width) {
  std::string list;
  for (const auto& [x, y] : points) list += cat(list.empty() ? "" : " ", pixels(x), ',', pixels(y));
  body_ += cat("<polyline points=\"", list, "\" fill=\"none\" stroke=\"", color, "\" stroke-width=\"",
               pixels(width), "\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>\n");
}

std::string SvgCanvas::finish() const { return head_ + body_ + "</svg>\n"; }

Axis::Axis(double low, double high, double from_pixel, double to_pixel, int ticks, double smallest_step)
    : low_(low), high_(high), from_pixel_(from_pixel), to_pixel_(to_pixel) {
  RN_CHECK(std::isfinite(low) && std::isfinite(high) && low <= high && ticks > 0, low, " .. ", high);
  if (low_ == high_) {
    const double widening = low_ == 0 ? 1 : std::abs(low_) * 0.1;
    low_ -= low_ > 0 ? widening : 0;
    high_ += widening;
  }
  const double raw = (high_ - low_) / ticks;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double digit = raw / power;
  const double round_step = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  const double step = std::max(smallest_step, round_step);
  const double first = std::floor(low_ / step + 1e-9);
  const double last = std::ceil(high_ / step - 1e-9);
  for (double i = first; i <= last; ++i) ticks_.push_back(i * step);
  low_ = ticks_.front();
  high_ = ticks_.back();
}

double Axis::pixel(double value) const {
  return from_pixel_ + (value - low_) / (high_ - low_) * (to_pixel_ - from_pixel_);
}

std::string chart_number(double value) {
  char buffer[64];
  const double size = std::abs(value);
  if (size != 0 && (size < 1e-4 || size >= 1e15)) {
    std::snprintf(buffer, sizeof buffer, "%.3g", value);
    return buffer;
  }
  std::snprintf(buffer, sizeof buffer, "%.4f", value);
  std::string text = buffer;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  if (text == "-0") text = "0";
  for (auto at = static_cast<std::ptrdiff_t>(std::min(text.find('.'), text.size())) - 3;
       at > (value < 0 ? 1 : 0); at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

std::string rounded_chart_number(double value) {
  if (value == 0) return "0";
  const double unit = std::pow(10, std::floor(std::log10(std::abs(value))) - 3);
  return chart_number(std::round(value / unit) * unit);
}

}  // namespace rn::report
