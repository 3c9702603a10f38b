// The shape of a 2-d convolution with a square kernel, as the kernels here see it.
#pragma once

#include <cstdint>

namespace rn::kernels {

// What two tiles hold: channels come in whole blocks, images in groups of which the last may be smaller.
inline constexpr std::int64_t kChannelBlock = 32;
inline constexpr std::int64_t kImageGroup = 32;

struct ConvolutionShape {
  std::int64_t images, height, width;      // of the input
  std::int64_t in_channels, out_channels;  // one group
  std::int64_t kernel, stride, padding;    // no dilation

  std::int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

}  // namespace rn::kernels
