#include "kernels/convolution.h"

#include <algorithm>

#include "core/error.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kGranule = 32;  // channels of a pair of tiles, and images of a group
constexpr std::int64_t kMostPixels = 16;

}  // namespace

bool small_convolution_takes(const ConvolutionShape& s) {
  if ((s.kernel != 1 && s.kernel != 3) || s.in_channels <= 0 || s.in_channels % kGranule != 0 ||
      s.out_channels <= 0 || s.out_channels % kGranule != 0 || s.stride < 1 || s.padding < 0 ||
      s.padding >= s.kernel || s.out_height() <= 0 || s.out_width() <= 0) {
    return false;
  }
  const std::int64_t weights = s.out_channels * s.kernel * s.kernel * s.in_channels;
  return s.out_height() * s.out_width() <= kMostPixels &&
         weights > kGranule * s.height * s.width * s.in_channels;
}

ConvolutionShape input_gradient_shape(const ConvolutionShape& s) {
  RN_CHECK(s.stride == 1);
  return {s.images, s.out_height(),          s.out_width(), s.out_channels, s.in_channels, s.kernel,
          1,        s.kernel - 1 - s.padding};
}

ConvolutionParts::ConvolutionParts(const ConvolutionShape& shape, int threads)
    : groups_((shape.images + kGranule - 1) / kGranule), pairs_(shape.out_channels / kGranule) {
  RN_CHECK(threads > 0 && shape.images > 0);
  cuts_ = std::clamp<std::int64_t>((threads + groups_ - 1) / groups_, 1, pairs_);
}

ConvolutionPart ConvolutionParts::operator[](std::int64_t index) const {
  const std::int64_t cut = index % cuts_;
  return {index / cuts_ * kGranule, pairs_ * cut / cuts_, pairs_ * (cut + 1) / cuts_};
}

#if !defined(RN_HAVE_AMX)
void pack_weight(const ConvolutionShape&, const BFloat16*, std::int64_t, BFloat16*) {
  throw InternalError("pack_weight: this build has no AMX");
}
void pack_weight_for_input_gradient(const ConvolutionShape&, const BFloat16*, std::int64_t, BFloat16*) {
  throw InternalError("pack_weight_for_input_gradient: this build has no AMX");
}
void small_convolution(const ConvolutionShape&, const BFloat16*, const BFloat16*, const ConvolutionPart&,
                       BFloat16*) {
  throw InternalError("small_convolution: this build has no AMX");
}
#endif

}  // namespace rn::kernels
