// Convolution of small images in bf16 with float32 sums, on AMX tiles, and its gradient by the input.
//
//   y[n][h][w][o] = sum over taps (kh, kw) and channels i of x[n][h'][w'][i] * weight[o][kh][kw][i]
//
// with h' and w' as in weight_gradient.h. Where few pixels meet many channels this is several times faster
// than oneDNN as in LibTorch 2.15, for larger images it is not: figures in docs/adr/0004. See Note [Images as
// the inner dimension]: here images are the rows of a tile, 32 of one pixel at a time.
#pragma once

#include <cstdint>

#include "core/bfloat16.h"
#include "kernels/convolution_shape.h"

namespace rn::kernels {

// Whether the functions below compute this shape: kernel 1 or 3, channels in multiples of kChannelBlock. And
// whether they are the fast way: at most 16 output pixels, weights larger than the activations of 32 images.
bool small_convolution_supports(const ConvolutionShape& shape);
bool small_convolution_pays(const ConvolutionShape& shape);

// The convolution that computes dx from dy, with the packed weight of the same name. REQUIRES: stride 1.
ConvolutionShape input_gradient_shape(const ConvolutionShape& shape);

// Lays out weight [out_channels][kernel][kernel][in_channels] for small_convolution(shape), or for
// small_convolution(input_gradient_shape(shape)), into as many values, 64-byte aligned. `pair`: of 32 output
// channels of the convolution that will use it; all of them may be packed by different threads.
void pack_weight(const ConvolutionShape& shape, const BFloat16* weight, std::int64_t pair, BFloat16* packed);
void pack_weight_for_input_gradient(const ConvolutionShape& shape, const BFloat16* weight, std::int64_t pair,
                                    BFloat16* packed);

// The work of one thread: 32 images, or what is left of them, and some pairs of 16 output channels.
struct ConvolutionPart {
  std::int64_t first_image;
  std::int64_t pair_begin, pair_end;
};

// Cuts the work into at least `threads` parts where it is large enough. The results do not depend on it.
class ConvolutionParts {
 public:
  ConvolutionParts(const ConvolutionShape& shape, int threads);
  std::int64_t size() const { return groups_ * cuts_; }
  ConvolutionPart operator[](std::int64_t index) const;

 private:
  std::int64_t groups_, pairs_, cuts_;
};

// Writes the part of y [images][out_height][out_width][out_channels], rounded to nearest, on the calling
// thread. x [images][height][width][in_channels], dense. REQUIRES:
// small_convolution_supports(shape), amx_bf16_available(), images > 0.
void small_convolution(const ConvolutionShape& shape, const BFloat16* x, const BFloat16* packed_weight,
                       const ConvolutionPart& part, BFloat16* y);

}  // namespace rn::kernels
