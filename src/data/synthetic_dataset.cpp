#include "data/synthetic_dataset.h"

#include <algorithm>
#include <array>

#include "core/random.h"
#include "data/cifar_format.h"

namespace rn::data {
namespace {

constexpr int kSide = kCifarSide;
constexpr int kMaxShift = 4;
constexpr int kPatternSide = kSide + 2 * kMaxShift;
constexpr int kCell = 10;  // pixels between the points of the coarse grid
constexpr int kGrid = kPatternSide / kCell + 1;
constexpr int kAmplitude = 60;              // grey levels of the pattern around the middle
constexpr std::uint64_t kPatternSplit = 2;  // the key of the patterns' draws, beside the two splits

using Pattern = std::array<int, 3 * kPatternSide * kPatternSide>;

// A coarse grid of random values per channel, interpolated bilinearly.
Pattern make_pattern(int label, std::uint64_t seed) {
  CounterRandom random(seed, Purpose::kSynthetic, kPatternSplit, static_cast<std::uint64_t>(label));
  Pattern pattern{};
  for (int c = 0; c < 3; ++c) {
    std::array<std::array<int, kGrid>, kGrid> grid{};
    for (auto& row : grid) {
      for (auto& value : row) value = static_cast<int>(random.below(2 * kAmplitude + 1)) - kAmplitude;
    }
    for (int y = 0; y < kPatternSide; ++y) {
      for (int x = 0; x < kPatternSide; ++x) {
        const int gy = y / kCell, gx = x / kCell, fy = y % kCell, fx = x % kCell;
        const int top = grid[gy][gx] * (kCell - fx) + grid[gy][gx + 1] * fx;
        const int bottom = grid[gy + 1][gx] * (kCell - fx) + grid[gy + 1][gx + 1] * fx;
        pattern[(c * kPatternSide + y) * kPatternSide + x] =
            (top * (kCell - fy) + bottom * fy) / (kCell * kCell);
      }
    }
  }
  return pattern;
}

// The sum of four uniform bytes around zero: bell-shaped, standard deviation 148 before scaling.
int noise(CounterRandom& random) {
  const std::uint32_t bits = random.next();
  return static_cast<int>((bits & 0xFF) + ((bits >> 8) & 0xFF) + ((bits >> 16) & 0xFF) + (bits >> 24)) - 510;
}

void draw_image(const Pattern& pattern, CounterRandom& random, std::uint8_t* pixels) {
  const int shift_y = static_cast<int>(random.below(2 * kMaxShift + 1));
  const int shift_x = static_cast<int>(random.below(2 * kMaxShift + 1));
  const int contrast = 64 + static_cast<int>(random.below(65));  // of 128: half to full
  const int brightness = 128 + static_cast<int>(random.below(41)) - 20;
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < kSide; ++y) {
      const int* row = pattern.data() + (c * kPatternSide + y + shift_y) * kPatternSide + shift_x;
      for (int x = 0; x < kSide; ++x) {
        const int value = brightness + row[x] * contrast / 128 + noise(random) / 4;
        *pixels++ = static_cast<std::uint8_t>(std::clamp(value, 0, 255));
      }
    }
  }
}

}  // namespace

ImageSet make_synthetic(std::int64_t size, SyntheticSplit split, std::uint64_t seed) {
  std::vector<Pattern> patterns;
  for (int label = 0; label < kCifarClasses; ++label) patterns.push_back(make_pattern(label, seed));
  ImageSet images;
  images.size = size;
  images.pixels.resize(static_cast<std::size_t>(size * kCifarImageBytes));
  images.labels.resize(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) {
    const auto label = static_cast<std::size_t>(i % kCifarClasses);
    CounterRandom random(seed, Purpose::kSynthetic, static_cast<std::uint64_t>(split),
                         static_cast<std::uint64_t>(i));
    images.labels[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(label);
    draw_image(patterns[label], random, images.pixels.data() + i * kCifarImageBytes);
  }
  return images;
}

}  // namespace rn::data
