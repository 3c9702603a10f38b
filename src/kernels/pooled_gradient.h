// Gradients of a convolution whose sums went through a 2x2 maximum and a relu (FloatActivation::kMaxPool),
// from the gradient of what is left: of four sums three have none, and of the fourth only what the relu
// passed.
//
// Each gradient that there is meets the kernel's rows as they lie in the image: to the weight's gradient it
// adds its multiple of the image, to the image's its multiple of the weight. So nothing is computed for the
// zeros, which are most of a dense gradient, and that is never written.
//
// Activations and weights as in float_convolution.h, `dy` and `taken` [images][out_height / 2][out_width /
// 2][out_channels]. Every sum is taken in one order, however the work is cut among threads. REQUIRES
// everywhere: stride 1, no padding, and what the function's own check says.
#pragma once

#include <cstdint>

#include "kernels/convolution_shape.h"

namespace rn::kernels {

// Whether the function computes this shape and is faster than the dense gradient, given avx512_available():
// for the weight's, an output channel's weights must fit into the registers; for the input's, the rows of the
// kernel with their channels must be short.
bool pooled_weight_gradient_pays(const ConvolutionShape& shape);
bool pooled_input_gradient_pays(const ConvolutionShape& shape);

// Writes output channels [begin, end) of dw [out_channels][kernel][kernel][in_channels]. REQUIRES: images >
// 0.
void pooled_weight_gradient(const ConvolutionShape& shape, const float* x, const float* dy,
                            const std::uint8_t* taken, std::int64_t begin, std::int64_t end, float* dw);

// Writes images [begin, end) of dx [images][height][width][in_channels].
void pooled_input_gradient(const ConvolutionShape& shape, const float* weight, const float* dy,
                           const std::uint8_t* taken, std::int64_t begin, std::int64_t end, float* dx);

// Writes images [begin, end) of `bias_gradients` [images][out_channels]: the sum of each image's over its
// pixels.
void pooled_bias_gradient(const ConvolutionShape& shape, const float* dy, const std::uint8_t* taken,
                          std::int64_t begin, std::int64_t end, float* bias_gradients);

}  // namespace rn::kernels
