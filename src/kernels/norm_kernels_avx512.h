// The tables of norm_kernels_avx512.cpp, for norm_kernels.cpp: to be used where avx512_bf16_available()
// alone.
#pragma once

#include "kernels/norm_kernels.h"

namespace rn::kernels {

extern const NormKernels<BFloat16> kAvx512BFloat16NormKernels;
extern const NormKernels<float> kAvx512FloatNormKernels;

}  // namespace rn::kernels
