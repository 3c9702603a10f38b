// Augmentation in two halves: the host draws a few integers per sample, `Augmenter` uses them.
//
// Draws are keyed by (seed, epoch, sample), so a sample's augmentation does not depend on rank, batch or
// thread. Order of the operations: pad and crop, flip, normalise, cutout.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "data/augment_pixel.h"
#include "data/dataset.h"
#include "data/options.h"

namespace rn::data {

// Alternating flip (Jordan 2024, airbench): a random half of the images is flipped in even epochs, the other
// in odd. Without crop the draw's crop is (0, 0), as `crop_padding` 0 expects; without cutout its centre is
// (0, 0).
AugmentDraw draw_augment(const AugmentOptions& options, int height, int width, std::uint64_t seed,
                         std::int64_t epoch, std::int64_t sample);

struct Normalization {
  float mean[3];
  float std[3];  // of pixels scaled to [0, 1]
};
// Throws ConfigError for an unknown preset.
Normalization normalization_preset(const std::string& name);

// Crop, flip, cutout and normalise images of one shape. Immutable once made, so safe to use from any thread.
//
// Zero padding is black (pixel 0, as torchvision's RandomCrop before Normalize); reflect padding does not
// repeat the edge (torch's 'reflect'). Cutout blanks a square of side `cutout`, clipped at the borders, with
// 0: the mean colour.
class Augmenter {
 public:
  // Throws ConfigError for padding that cannot be reflected (not below the side) or is negative, a negative
  // cutout, or an unknown preset. REQUIRES: 1 to 3 channels.
  Augmenter(const AugmentOptions& options, int channels, int height, int width);
  Augmenter(const AugmentOptions& options, const Normalization& normalization, int channels, int height,
            int width);

  // `pixels` [C, H, W] uint8 -> `out` [H, W, C] float32. `draw` null: normalise only.
  void apply(std::span<const std::uint8_t> pixels, const AugmentDraw* draw, std::span<float> out) const;

  // What augmented_value() needs to do the same pixel by pixel.
  AugmentGeometry geometry() const;
  std::span<const float> table() const;  // [channels, kPixelValues]

 private:
  template <int kChannels>
  void apply_channels(const std::uint8_t* pixels, const AugmentDraw& draw, int padding, float* out) const;
  void blank(const AugmentDraw& draw, float* out) const;

  const AugmentOptions options_;
  const int channels_;
  const int height_;
  const int width_;
  std::array<float, std::size_t{3} * kPixelValues> table_{};  // [channel, pixel] -> normalised value
};

// One image at once: makes an Augmenter for it, so prefer that class in loops.
void apply_augment(std::span<const std::uint8_t> pixels, int channels, int height, int width,
                   const AugmentOptions& options, const Normalization& normalization, const AugmentDraw* draw,
                   std::span<float> out);

}  // namespace rn::data
