// Some sums of a weight's gradient in registers: the innermost loops of the files float_*_avx512.cpp.
//
// A product of a transposed matrix with a matrix is the gradient of a 1x1 kernel of an image that is one row.
#pragma once

#include <array>
#include <utility>

#include "kernels/float_frames.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kMostOutputs = 8;  // 8 x 3 sums
constexpr std::int64_t kMostTapVectors = 3;

// 8 output channels at most x up to 3 vectors of taps and channels: neighbours in a kernel row, or, where a
// row of the kernel fills no more than one, several rows.
struct WeightPatch {
  const float* x;
  const float* dy;
  float* dw;
  __mmask16 last, others;              // lanes of the last vector of taps, and of those before
  bool adds;                           // to what dw holds
  std::int64_t images, height, width;  // of the outputs that are summed over
  std::int64_t x_image, x_row, x_column, dy_image, dy_row, dy_column, dw_output;  // steps
  std::int64_t x_vector, dw_vector;                                               // from vector to vector
};

template <int kVectors, int kOutputs>
void weight_patch(const WeightPatch& t) {
  __m512 sums[kOutputs][kVectors];
  const auto lanes = [&](int v) { return v + 1 == kVectors ? t.last : t.others; };
#pragma GCC unroll 8
  for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      sums[o][v] = t.adds ? _mm512_maskz_loadu_ps(lanes(v), t.dw + o * t.dw_output + v * t.dw_vector)
                          : _mm512_setzero_ps();
    }
  }
  for (std::int64_t n = 0; n < t.images; ++n) {
    for (std::int64_t h = 0; h < t.height; ++h) {
      const float* x = t.x + n * t.x_image + h * t.x_row;
      const float* dy = t.dy + n * t.dy_image + h * t.dy_row;
      for (std::int64_t w = 0; w < t.width; ++w, x += t.x_column, dy += t.dy_column) {
        __m512 taps[kVectors];
        for (int v = 0; v < kVectors; ++v) taps[v] = _mm512_maskz_loadu_ps(lanes(v), x + v * t.x_vector);
#pragma GCC unroll 8
        for (int o = 0; o < kOutputs; ++o) {
          const __m512 d = _mm512_set1_ps(dy[o]);
#pragma GCC unroll 3
          for (int v = 0; v < kVectors; ++v) sums[o][v] = _mm512_fmadd_ps(d, taps[v], sums[o][v]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 3
    for (int v = 0; v < kVectors; ++v) {
      _mm512_mask_storeu_ps(t.dw + o * t.dw_output + v * t.dw_vector, lanes(v), sums[o][v]);
    }
  }
}

using SumWeightPatch = void (*)(const WeightPatch&);

template <int kVectors, std::size_t... kIndex>
constexpr std::array<SumWeightPatch, sizeof...(kIndex)> by_outputs(std::index_sequence<kIndex...>) {
  return {weight_patch<kVectors, static_cast<int>(kIndex) + 1>...};
}
template <int kVectors>
constexpr auto kByOutputs = by_outputs<kVectors>(std::make_index_sequence<kMostOutputs>());

inline SumWeightPatch weight_patch_for(std::int64_t vectors, std::int64_t outputs) {
  const auto at = static_cast<std::size_t>(outputs - 1);
  return vectors == 1 ? kByOutputs<1>[at] : vectors == 2 ? kByOutputs<2>[at] : kByOutputs<3>[at];
}

// All taps of the output channels [begin, end); of t, what does not depend on channel and tap is set.
inline void sum_all_patches(const ConvolutionShape& s, WeightPatch t, std::int64_t tap_row,
                            std::int64_t begin, std::int64_t end) {
  const std::int64_t row_taps = s.kernel * s.in_channels;
  constexpr std::int64_t kMostTaps = kMostTapVectors * kLanes;
  const bool by_rows = row_taps <= kLanes;
  const std::int64_t rows = by_rows ? kMostTapVectors : 1;
  t.others = first_lanes(by_rows ? row_taps : kLanes);
  t.x_vector = by_rows ? tap_row : kLanes;
  t.dw_vector = by_rows ? row_taps : kLanes;
  const float *const x = t.x, *const dy = t.dy;
  float* const dw = t.dw;
  for (std::int64_t out = begin; out < end; out += kMostOutputs) {
    for (std::int64_t kh = 0; kh < s.kernel; kh += rows) {
      for (std::int64_t tap = 0; tap < row_taps; tap += kMostTaps) {
        const std::int64_t taps = std::min(kMostTaps, row_taps - tap);
        const std::int64_t vectors = by_rows ? std::min(rows, s.kernel - kh) : ceil_div(taps, kLanes);
        t.last = by_rows ? t.others : first_lanes(taps - (vectors - 1) * kLanes);
        t.x = x + kh * tap_row + tap;
        t.dy = dy + out;
        t.dw = dw + out * t.dw_output + kh * row_taps + tap;
        weight_patch_for(vectors, std::min(kMostOutputs, end - out))(t);
      }
    }
  }
}

}  // namespace
}  // namespace rn::kernels
