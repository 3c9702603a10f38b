#include "kernels/convolution.h"

#include <algorithm>

#include "core/error.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kMostPixels = 16;

}  // namespace

bool small_convolution_supports(const ConvolutionShape& s) {
  return (s.kernel == 1 || s.kernel == 3) && s.in_channels > 0 && s.in_channels % kChannelBlock == 0 &&
         s.out_channels > 0 && s.out_channels % kChannelBlock == 0 && s.stride >= 1 && s.padding >= 0 &&
         s.padding < s.kernel && s.out_height() > 0 && s.out_width() > 0;
}

bool small_convolution_pays(const ConvolutionShape& s) {
  const std::int64_t weights = s.out_channels * s.kernel * s.kernel * s.in_channels;
  return s.out_height() * s.out_width() <= kMostPixels &&
         weights > kImageGroup * s.height * s.width * s.in_channels;
}

ConvolutionShape input_gradient_shape(const ConvolutionShape& s) {
  RN_CHECK(s.stride == 1);
  return {s.images, s.out_height(),          s.out_width(), s.out_channels, s.in_channels, s.kernel,
          1,        s.kernel - 1 - s.padding};
}

ConvolutionParts::ConvolutionParts(const ConvolutionShape& shape, int threads)
    : groups_((shape.images + kImageGroup - 1) / kImageGroup), pairs_(shape.out_channels / kChannelBlock) {
  RN_CHECK(threads > 0 && shape.images > 0);
  cuts_ = std::clamp<std::int64_t>((threads + groups_ - 1) / groups_, 1, pairs_);
}

ConvolutionPart ConvolutionParts::operator[](std::int64_t index) const {
  const std::int64_t cut = index % cuts_;
  return {index / cuts_ * kImageGroup, pairs_ * cut / cuts_, pairs_ * (cut + 1) / cuts_};
}

}  // namespace rn::kernels
