#include "kernels/norm_kernels.h"

#include "kernels/cpu_features.h"
#include "kernels/norm_loops.h"

#if defined(RN_HAVE_AVX512_BF16)
#include "kernels/norm_kernels_avx512.h"
#endif

namespace rn::kernels {
namespace {

struct Plain;

template <class T>
using Lanes = ScalarLanes<T, Plain>;

}  // namespace

template <class T>
const NormKernels<T>& plain_norm_kernels() {
  static const NormKernels<T> kernels = make_norm_kernels<Lanes<T>, Lanes<T>>();
  return kernels;
}

template const NormKernels<BFloat16>& plain_norm_kernels();
template const NormKernels<float>& plain_norm_kernels();
template const NormKernels<double>& plain_norm_kernels();

#if defined(RN_HAVE_AVX512_BF16)
template <>
const NormKernels<BFloat16>* avx512_norm_kernels() {
  return avx512_bf16_available() ? &kAvx512BFloat16NormKernels : nullptr;
}
template <>
const NormKernels<float>* avx512_norm_kernels() {
  return avx512_bf16_available() ? &kAvx512FloatNormKernels : nullptr;
}
#else
template <>
const NormKernels<BFloat16>* avx512_norm_kernels() {
  return nullptr;
}
template <>
const NormKernels<float>* avx512_norm_kernels() {
  return nullptr;
}
#endif

}  // namespace rn::kernels
