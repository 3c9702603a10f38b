// The shape of a 2-d convolution with a square kernel, as the kernels here see it.
#pragma once

#include <cstdint>

namespace rn::kernels {

// Channels come in blocks of two tiles, 16 each.
inline constexpr std::int64_t kChannelBlock = 32;

struct ConvolutionShape {
  std::int64_t images, height, width;      // of the input
  std::int64_t in_channels, out_channels;  // one group
  std::int64_t kernel, stride, padding;    // no dilation

  std::int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

}  // namespace rn::kernels
