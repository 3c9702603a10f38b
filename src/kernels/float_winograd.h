// 3x3 convolutions by Winograd's minimal filtering F(2x2, 3x3) (Lavin and Gray 2016): 16 products where the
// definition has 36, for a few additions; for float_convolution.h, in the same storage formats but for the
// packed weight.
//
//   y = A^T [(G g G^T) . (B^T d B)] A     of each 4x4 piece d of the input, for 2x2 outputs
//   dg = G^T [sum over pieces of (A dy A^T) . (B^T d B)] G
//
// The products at one of the 16 positions are a matrix product over channels. Their sums cancel, so that the
// rounding differs from the definition's: by 5e-7 of the result's norm for 64 channels, 1.3e-6 for 512.
#pragma once

#include <cstdint>

#include "kernels/float_convolution.h"

namespace rn::kernels {

// Whether this shape is computed so: kernel 3, stride 1, even outputs, channels in whole vectors.
bool winograd_supports(const ConvolutionShape& shape);

// As the functions of float_convolution.h without the name's first word. REQUIRES: winograd_supports(shape).
std::int64_t winograd_packed_weight_size(const ConvolutionShape& shape);
void winograd_pack_weight(const ConvolutionShape& shape, const float* weight, float* packed);
// REQUIRES: winograd_supports(input_gradient_shape(shape)).
void winograd_pack_weight_for_input_gradient(const ConvolutionShape& shape, const float* weight,
                                             float* packed);
void winograd_convolution(const ConvolutionShape& shape, const float* x, const float* packed_weight,
                          const float* bias, FloatActivation activation, std::int64_t begin, std::int64_t end,
                          float* y, std::uint8_t* taken);
void winograd_weight_gradient(const ConvolutionShape& shape, const float* x, const float* dy,
                              std::int64_t begin, std::int64_t end, float* dw);

}  // namespace rn::kernels
