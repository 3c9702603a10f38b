#include "data/statistics.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "data/png_writer.h"

namespace rn::data {
namespace {

constexpr int kGap = 2;  // white pixels between pictures

// A white picture into which images are drawn.
struct Canvas {
  int width;
  int height;
  std::vector<std::uint8_t> rgb;

  Canvas(int w, int h) : width(w), height(h), rgb(static_cast<std::size_t>(w) * h * 3, 255) {}

  void draw(const ImageSet& images, std::int64_t index, int left, int top, int scale) {
    const auto pixels = images.image(index);
    for (int y = 0; y < images.height * scale; ++y) {
      for (int x = 0; x < images.width * scale; ++x) {
        for (int c = 0; c < 3; ++c) {
          const int channel = std::min(c, images.channels - 1);  // grey images: the one plane three times
          const int source = (channel * images.height + y / scale) * images.width + x / scale;
          rgb[(static_cast<std::size_t>(top + y) * width + left + x) * 3 + c] = pixels[source];
        }
      }
    }
  }
};

}  // namespace

SplitStatistics measure(const ImageSet& images, int classes) {
  SplitStatistics result;
  result.class_counts.resize(static_cast<std::size_t>(classes));
  for (const auto label : images.labels) ++result.class_counts.at(label);
  if (images.size == 0) return result;
  // A histogram per channel makes the sums exact.
  std::array<std::array<std::int64_t, 256>, 3> counts{};
  const auto plane = static_cast<std::size_t>(images.height) * images.width;
  for (std::int64_t i = 0; i < images.size; ++i) {
    const auto pixels = images.image(i);
    for (std::size_t c = 0; c < static_cast<std::size_t>(images.channels); ++c) {
      for (const auto value : pixels.subspan(c * plane, plane)) ++counts[c][value];
    }
  }
  const double total = static_cast<double>(images.size) * static_cast<double>(plane);
  for (std::size_t c = 0; c < static_cast<std::size_t>(images.channels); ++c) {
    std::int64_t sum = 0, squares = 0;
    for (std::int64_t v = 0; v < 256; ++v) {
      sum += counts[c][static_cast<std::size_t>(v)] * v;
      squares += counts[c][static_cast<std::size_t>(v)] * v * v;
    }
    const double mean = static_cast<double>(sum) / total;
    result.mean[c] = mean / 255.0;
    result.std[c] = std::sqrt(std::max(0.0, static_cast<double>(squares) / total - mean * mean)) / 255.0;
  }
  return result;
}

void write_contact_sheet(const std::string& path, const ImageSet& images, int classes, int columns,
                         int scale) {
  RN_CHECK(classes > 0 && columns > 0 && scale > 0);
  const int cell_width = images.width * scale + kGap, cell_height = images.height * scale + kGap;
  Canvas canvas(columns * cell_width + kGap, classes * cell_height + kGap);
  std::vector<int> drawn(static_cast<std::size_t>(classes));
  for (std::int64_t i = 0; i < images.size; ++i) {
    const int label = images.labels[static_cast<std::size_t>(i)];
    int& column = drawn.at(static_cast<std::size_t>(label));
    if (column == columns) continue;
    canvas.draw(images, i, kGap + column * cell_width, kGap + label * cell_height, scale);
    ++column;
  }
  write_png(path, canvas.width, canvas.height, canvas.rgb);
}

}  // namespace rn::data
