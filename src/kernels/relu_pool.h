// Relu of bf16 activations, alone or after a 2x2 maximum, with AVX-512; and the way back.
//
// Both look at bits alone: numbers above zero are ordered as their bits are as integers, and what a relu cuts
// has the sign bit or is zero. A NaN is passed on, without its sign.
//
// Activations are dense and channels-last, [images][height][width][channels] before and [height / 2][width /
// 2] after the maximum. REQUIRES everywhere: avx512_available().
#pragma once

#include <cstdint>

#include "core/bfloat16.h"

namespace rn::kernels {

struct PoolShape {
  std::int64_t images, height, width, channels;  // before
};

// y = max(x, 0), and dx = dy where y is not zero, else 0.
void relu(const BFloat16* x, std::int64_t count, BFloat16* y);
void relu_gradient(const BFloat16* dy, const BFloat16* y, std::int64_t count, BFloat16* dx);

// Images [begin, end) of y = max(0, the largest of 2x2), and `taken`, where each comes from as in
// float_convolution.h.
void relu_pool(const PoolShape& shape, const BFloat16* x, std::int64_t begin, std::int64_t end, BFloat16* y,
               std::uint8_t* taken);

// Images [begin, end) of dx, whole.
void relu_pool_gradient(const PoolShape& shape, const BFloat16* dy, const std::uint8_t* taken,
                        std::int64_t begin, std::int64_t end, BFloat16* dx);

}  // namespace rn::kernels
