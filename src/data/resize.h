// A photograph made square, as torchvision's Resize and CenterCrop on a PIL image make it.
#pragma once

#include <cstdint>
#include <span>

#include "data/picture.h"

namespace rn::data {

// Scales `picture` so that its shorter side is `side`, by a triangle filter that grows with the reduction
// (Pillow's BILINEAR), and writes its middle as planes [3, side, side]. Each pixel is within one level of
// Pillow's, which computes in fixed point. A picture of this very size is only copied.
void resize_to_planes(const Picture& picture, int side, std::span<std::uint8_t> planes);

// The picture as it is, as planes [3, height, width].
void to_planes(const Picture& picture, std::span<std::uint8_t> planes);

}  // namespace rn::data
