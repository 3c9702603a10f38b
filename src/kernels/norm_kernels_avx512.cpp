// The AVX-512 instance of norm_loops.h: 16 channels at a time. Tables only, ready at compile time: no code of
// this file runs unless one of their entries is called.
#include "kernels/norm_kernels_avx512.h"

#include <immintrin.h>

#include "kernels/norm_kernels.h"
#include "kernels/norm_loops.h"

namespace rn::kernels {
namespace {

struct Avx512;

struct FloatLanes {
  using Accumulator = float;
  using Vector = __m512;
  static constexpr int kWidth = 16;
  static Vector load_accumulator(const float* at) { return _mm512_loadu_ps(at); }
  static void store_accumulator(float* at, Vector value) { _mm512_storeu_ps(at, value); }
  static Vector set(float value) { return _mm512_set1_ps(value); }
  static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  static Vector sub(Vector a, Vector b) { return _mm512_sub_ps(a, b); }
  static Vector fma(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  // The second operand is returned where one is NaN.
  static Vector max_zero(Vector value) { return _mm512_max_ps(_mm512_setzero_ps(), value); }
  static Vector keep_positive(Vector value, Vector by) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(by, _mm512_setzero_ps(), _CMP_NLE_UQ), value);
  }
};

struct Float32Lanes : FloatLanes {
  using Element = float;
  static Vector load(const float* at) { return _mm512_loadu_ps(at); }
  static void store(float* at, Vector value) { _mm512_storeu_ps(at, value); }
};

struct BFloat16Lanes : FloatLanes {
  using Element = BFloat16;
  static Vector load(const BFloat16* at) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static void store(BFloat16* at, Vector value) {
    // Rounds to nearest even; takes denormals for zero.
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), (__m256i)_mm512_cvtneps_pbh(value));
  }
};

}  // namespace

constinit const NormKernels<BFloat16> kAvx512BFloat16NormKernels =
    make_norm_kernels<BFloat16Lanes, ScalarLanes<BFloat16, Avx512>>();
constinit const NormKernels<float> kAvx512FloatNormKernels =
    make_norm_kernels<Float32Lanes, ScalarLanes<float, Avx512>>();

}  // namespace rn::kernels
