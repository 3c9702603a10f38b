#include "kernels/weight_gradient.h"

#include <algorithm>

#include "core/error.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kWidest = 128;

}  // namespace

bool weight_gradient_supports(const ConvolutionShape& shape) {
  return (shape.kernel == 1 || shape.kernel == 3) && shape.in_channels > 0 && shape.out_channels > 0 &&
         shape.in_channels % kChannelBlock == 0 && shape.out_channels % kChannelBlock == 0 &&
         shape.stride >= 1 && shape.padding >= 0 && shape.padding < shape.kernel && shape.out_height() > 0 &&
         shape.out_width() > 0;
}

// Output channels first: each of their blocks lays out all of its input channels once.
WeightBlocks::WeightBlocks(const ConvolutionShape& shape, int threads)
    : out_channels_(shape.out_channels), in_channels_(shape.in_channels) {
  RN_CHECK(threads > 0 && weight_gradient_supports(shape));
  const std::int64_t share = out_channels_ / threads / kChannelBlock * kChannelBlock;
  out_width_ = std::clamp(share, kChannelBlock, kWidest);
  out_blocks_ = (out_channels_ + out_width_ - 1) / out_width_;
  const std::int64_t blocks = in_channels_ / kChannelBlock;
  const std::int64_t cuts = std::clamp<std::int64_t>((threads + out_blocks_ - 1) / out_blocks_, 1, blocks);
  in_width_ = (blocks + cuts - 1) / cuts * kChannelBlock;
  in_blocks_ = (in_channels_ + in_width_ - 1) / in_width_;
}

WeightBlock WeightBlocks::operator[](std::int64_t index) const {
  const std::int64_t out = index / in_blocks_ * out_width_, in = index % in_blocks_ * in_width_;
  return {out, std::min(out + out_width_, out_channels_), in, std::min(in + in_width_, in_channels_)};
}

}  // namespace rn::kernels
