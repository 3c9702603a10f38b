#include "kernels/float_convolution.h"

#include <algorithm>

#include "kernels/float_winograd.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kBlock =
    2 * kLanes;  // output channels whose weights lie together, except the last few

// How far apart the taps of a block are.
std::int64_t packed_step(std::int64_t block, std::int64_t out_channels) {
  return std::min(kBlock, (out_channels - block + kLanes - 1) / kLanes * kLanes);
}

// `weight(out, row, column, in)`: one value. Lanes 0 to 7 are the first pixel's channels, 8 to 15 the
// second's.
template <typename Weight>
void pack_pairs(const ConvolutionShape& s, Weight weight, float* packed) {
  std::fill_n(packed, packed_float_weight_size(s), 0.0F);
  for (std::int64_t row = 0; row < s.kernel; ++row) {
    for (std::int64_t column = 0; column <= s.kernel; ++column) {
      for (std::int64_t in = 0; in < s.in_channels; ++in, packed += kLanes) {
        for (std::int64_t out = 0; out < s.out_channels; ++out) {
          if (column < s.kernel) packed[out] = weight(out, row, column, in);
          if (column > 0) packed[kLanes / 2 + out] = weight(out, row, column - 1, in);
        }
      }
    }
  }
}

}  // namespace

bool float_convolution_supports(const ConvolutionShape& s) {
  return s.kernel > 0 && s.in_channels > 0 && s.out_channels > 0 && s.stride > 0 && s.padding >= 0 &&
         s.padding < s.kernel && s.height + 2 * s.padding >= s.kernel && s.width + 2 * s.padding >= s.kernel;
}

bool float_convolution_pays(const ConvolutionShape& s) {
  constexpr std::int64_t kFewPixels = 16, kManyChannels = 128;
  return winograd_supports(s) || (s.kernel == 3 && s.out_height() * s.out_width() <= kFewPixels &&
                                  s.in_channels >= kManyChannels && s.out_channels >= kManyChannels);
}

bool winograd_supports(const ConvolutionShape& s) {
  return s.kernel == 3 && s.stride == 1 && s.out_height() % 2 == 0 && s.out_width() % 2 == 0 &&
         s.in_channels % kLanes == 0 && s.out_channels % kLanes == 0;
}

bool float_convolution_pairs_pixels(const ConvolutionShape& s) {
  return s.out_channels <= kLanes / 2 && s.stride == 1 && s.out_width() % 2 == 0;
}

std::int64_t packed_float_weight_size(const ConvolutionShape& s) {
  if (winograd_supports(s)) return winograd_packed_weight_size(s);
  if (float_convolution_pairs_pixels(s)) return kLanes * s.kernel * (s.kernel + 1) * s.in_channels;
  return (s.out_channels + kLanes - 1) / kLanes * kLanes * s.kernel * s.kernel * s.in_channels;
}

void pack_float_weight(const ConvolutionShape& s, const float* weight, float* packed) {
  if (winograd_supports(s)) {
    winograd_pack_weight(s, weight, packed);
    return;
  }
  if (float_convolution_pairs_pixels(s)) {
    const auto at = [&](std::int64_t out, std::int64_t row, std::int64_t column, std::int64_t in) {
      return weight[((out * s.kernel + row) * s.kernel + column) * s.in_channels + in];
    };
    pack_pairs(s, at, packed);
    return;
  }
  const std::int64_t taps = s.kernel * s.kernel * s.in_channels;  // with their channels
  std::fill_n(packed, packed_float_weight_size(s), 0.0F);
  for (std::int64_t block = 0; block < s.out_channels; block += kBlock) {
    const std::int64_t step = packed_step(block, s.out_channels);
    const std::int64_t channels = std::min(kBlock, s.out_channels - block);
    float* to = packed + block * taps;
    for (std::int64_t tap = 0; tap < taps; ++tap, to += step) {
      const float* from = weight + block * taps + tap;
      for (std::int64_t out = 0; out < channels; ++out, from += taps) to[out] = *from;
    }
  }
}

// Its output channels are the weight's input channels; its taps run backwards.
void pack_float_weight_for_input_gradient(const ConvolutionShape& s, const float* weight, float* packed) {
  const auto reversed = input_gradient_shape(s);
  if (winograd_supports(reversed)) {
    winograd_pack_weight_for_input_gradient(s, weight, packed);
    return;
  }
  if (float_convolution_pairs_pixels(reversed)) {
    const std::int64_t last = s.kernel - 1;
    const auto at = [&](std::int64_t out, std::int64_t row, std::int64_t column, std::int64_t in) {
      return weight[((in * s.kernel + last - row) * s.kernel + last - column) * s.in_channels + out];
    };
    pack_pairs(reversed, at, packed);
    return;
  }
  const std::int64_t taps = s.kernel * s.kernel;
  std::fill_n(packed, packed_float_weight_size(reversed), 0.0F);
  for (std::int64_t block = 0; block < s.in_channels; block += kBlock) {
    const std::int64_t step = packed_step(block, s.in_channels);
    const std::int64_t channels = std::min(kBlock, s.in_channels - block);
    float* to = packed + block * taps * s.out_channels;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      for (std::int64_t out = 0; out < s.out_channels; ++out, to += step) {
        std::copy_n(weight + (out * taps + taps - 1 - tap) * s.in_channels + block, channels, to);
      }
    }
  }
}

}  // namespace rn::kernels
