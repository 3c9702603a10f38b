// The gradient of a convolution by its weight, in bf16 with float32 sums, on AMX tiles.
//
//   dw[o][kh][kw][i] = sum over images n and output pixels (h, w) of dy[n][h][w][o] * x[n][h'][w'][i]
//
// with h' = h * stride + kh - padding, likewise w', x zero outside of the image: for each of the kernel's
// taps a matrix product over images and pixels.
//
// Note [Images as the inner dimension]. A tile product sums over 32 values that one tile holds side by side
// and the other in pairs, while channels-last activations have channels side by side. Both are therefore laid
// out anew, 32 images of one pixel at a time: dy transposed to [channel][image], x to [image
// pair][channel][2]. With images as the summed dimension a tap is a mere shift of the pixel. A band of output
// rows at a time, which stays in the second-level cache while up to about 256 channels are laid out.
#pragma once

#include <cstdint>

#include "core/bfloat16.h"
#include "kernels/convolution_shape.h"

namespace rn::kernels {

// Whether weight_gradient computes this shape: kernel 1 or 3, channels in multiples of 32. Needs
// amx_bf16_available(). Fewer than 32 images cost as much as 32.
bool weight_gradient_supports(const ConvolutionShape& shape);

// A part of the weight: the work of one thread. The parts' results do not depend on how the weight is cut.
struct WeightBlock {
  std::int64_t out_begin, out_end;  // multiples of 32
  std::int64_t in_begin, in_end;
};

// Cuts the weight into at least `threads` blocks where it is large enough.
class WeightBlocks {
 public:
  WeightBlocks(const ConvolutionShape& shape, int threads);
  std::int64_t size() const { return out_blocks_ * in_blocks_; }
  WeightBlock operator[](std::int64_t index) const;

 private:
  std::int64_t out_channels_, in_channels_, out_width_, in_width_, out_blocks_, in_blocks_;
};

// Writes the block of `dw` [out_channels][kernel][kernel][in_channels], on the calling thread. x
// [images][height][width][in_channels], dy [images][out_height][out_width][out_channels], dense, images > 0.
// REQUIRES: weight_gradient_supports(shape), amx_bf16_available().
void weight_gradient(const ConvolutionShape& shape, const BFloat16* x, const BFloat16* dy,
                     const WeightBlock& block, float* dw);

}  // namespace rn::kernels
