#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "core/error.h"

namespace rn::data {
namespace {

constexpr int kChannels = 3;

// What one output pixel takes: the inputs from `first` on, by weights whose sum is 1.
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

// The taps of the `count` outputs from `begin` on, where `from` pixels are scaled to `to`.
std::vector<Taps> triangle_filter(int from, int to, int begin, int count) {
  const double scale = static_cast<double>(from) / to;
  const double support = std::max(scale, 1.0);  // a reduction averages over what it skips
  std::vector<Taps> taps(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const double centre = (begin + i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int last = std::min(from, static_cast<int>(centre + support + 0.5));
    auto& tap = taps[static_cast<std::size_t>(i)];
    tap.first = first;
    double sum = 0;
    for (int k = first; k < last; ++k) {
      const double weight = std::max(0.0, 1.0 - std::abs((k + 0.5 - centre) / support));
      tap.weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (float& weight : tap.weights) weight = static_cast<float>(weight / sum);
  }
  return taps;
}

std::uint8_t to_level(float value) {
  return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
}

// The scaled size, and where its middle square begins.
struct Placement {
  int scaled = 0;
  int begin = 0;
};

Placement place(int length, int shorter, int side) {
  const int scaled = static_cast<int>(std::int64_t{side} * length / shorter);
  return {.scaled = scaled, .begin = static_cast<int>(std::nearbyint((scaled - side) / 2.0))};
}

// Only the rows and columns of the middle square are computed. Rounded to levels between the two passes, as
// Pillow does: [rows of the picture that the square needs, side, 3].
std::vector<std::uint8_t> scale_rows(const Picture& picture, const std::vector<Taps>& columns, int top,
                                     int bottom) {
  std::vector<std::uint8_t> out;
  out.reserve(static_cast<std::size_t>(bottom - top) * columns.size() * kChannels);
  for (int y = top; y < bottom; ++y) {
    const std::uint8_t* row = picture.rgb.data() + static_cast<std::size_t>(y) * picture.width * kChannels;
    for (const auto& tap : columns) {
      float sums[kChannels] = {};
      const std::uint8_t* pixel = row + static_cast<std::size_t>(tap.first) * kChannels;
      for (const float weight : tap.weights) {
        for (float& sum : sums) sum += weight * *pixel++;
      }
      for (const float sum : sums) out.push_back(to_level(sum));
    }
  }
  return out;
}

}  // namespace

void to_planes(const Picture& picture, std::span<std::uint8_t> planes) {
  RN_CHECK(planes.size() == picture.rgb.size());
  const std::size_t plane = planes.size() / kChannels;
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < kChannels; ++c) planes[c * plane + i] = picture.rgb[i * kChannels + c];
  }
}

void resize_to_planes(const Picture& picture, int side, std::span<std::uint8_t> planes) {
  const std::size_t plane = static_cast<std::size_t>(side) * side;
  RN_CHECK(side > 0 && planes.size() == kChannels * plane);
  if (picture.width == side && picture.height == side) return to_planes(picture, planes);

  const int shorter = std::min(picture.width, picture.height);
  const Placement across = place(picture.width, shorter, side), down = place(picture.height, shorter, side);
  const auto columns = triangle_filter(picture.width, across.scaled, across.begin, side);
  const auto rows = triangle_filter(picture.height, down.scaled, down.begin, side);
  const int top = rows.front().first;
  const int bottom = rows.back().first + static_cast<int>(rows.back().weights.size());
  const auto scaled = scale_rows(picture, columns, top, bottom);

  const std::size_t stride = static_cast<std::size_t>(side) * kChannels;
  for (std::size_t y = 0; y < rows.size(); ++y) {
    const auto& tap = rows[y];
    const std::uint8_t* first = scaled.data() + static_cast<std::size_t>(tap.first - top) * stride;
    for (std::size_t x = 0; x < columns.size(); ++x) {
      for (std::size_t c = 0; c < kChannels; ++c) {
        float sum = 0;
        const std::uint8_t* pixel = first + x * kChannels + c;
        for (std::size_t k = 0; k < tap.weights.size(); ++k) sum += tap.weights[k] * pixel[k * stride];
        planes[c * plane + y * columns.size() + x] = to_level(sum);
      }
    }
  }
}

}  // namespace rn::data
