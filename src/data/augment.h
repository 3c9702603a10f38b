// Augmentation in two halves: the host draws a few integers per sample, `apply` uses them.
//
// Draws are keyed by (seed, epoch, sample), so a sample's augmentation does not depend on rank, batch or thread.
#pragma once

#include <cstdint>
#include <span>

#include "data/dataset.h"
#include "data/options.h"

namespace rn::data {

// All the randomness of one sample's augmentation.
struct AugmentDraw {
  std::int16_t crop_y = 0;      // in [0, 2 * crop_padding]: top of the crop in the padded image
  std::int16_t crop_x = 0;
  std::int16_t cutout_y = 0;    // centre of the blanked square, in the cropped image
  std::int16_t cutout_x = 0;
  bool flip = false;
};

// Alternating flip (Jordan 2024, airbench): a random half of the images is flipped in even epochs, the other in odd.
AugmentDraw draw_augment(const AugmentOptions& options, int height, int width, std::uint64_t seed, std::int64_t epoch,
                         std::int64_t sample);

struct Normalization {
  float mean[3];
  float std[3];                 // of pixels scaled to [0, 1]
};
// Throws ConfigError for an unknown preset.
Normalization normalization_preset(const std::string& name);

// Crop, flip, cutout and normalise one image: `pixels` [C, H, W] uint8 -> `out` [H, W, C] float32. Cutout blanks with
// the mean colour (0 after normalisation). `draw` null: normalise only.
void apply_augment(std::span<const std::uint8_t> pixels, int channels, int height, int width,
                   const AugmentOptions& options, const Normalization& normalization, const AugmentDraw* draw,
                   std::span<float> out);

}  // namespace rn::data
