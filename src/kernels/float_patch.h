// Some outputs of a convolution in registers: the innermost loops of the files float_*_avx512.cpp.
//
// A matrix product is a convolution with a 1x1 kernel of an image that is one row.
#pragma once

#include <array>
#include <utility>

#include "kernels/float_convolution.h"
#include "kernels/float_frames.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kMostVectors =
    2;  // of output channels, together in registers; as float_convolution.cpp packs
constexpr std::int64_t kMostPixels = 14;  // 28 sums; four registers for what is multiplied

// Pixels of kRows x kColumns outputs, of up to 32 channels; or pairs of pixels of up to 8 channels.
struct Patch {
  const float* x;       // the first tap of the first pixel
  const float* weight;  // [kernel row][taps of a row and channels][vectors of 16 output channels]
  const float* bias;    // or null
  float* y;
  float floor;       // nothing below it is written, a NaN is
  __mmask16 last;    // lanes of the last vector of channels that are channels
  __mmask16 stored;  // and those that are written
  bool pairs;  // a vector holds two pixels: Note [Pairs of pixels]; columns and their steps are the pairs'
  std::int64_t kernel;                      // rows of it
  std::int64_t row_taps;                    // of such a row, with their channels
  std::int64_t x_tap_row, x_row, x_column;  // steps
  std::int64_t y_row, y_column;
};

// The second pixel of a pair: lanes 8 on, to the pixel after y's.
inline void store_second(const Patch& t, float* y, __m512 value) {
  constexpr int kHalf = kLanes / 2;
  _mm512_mask_storeu_ps(y + t.y_column / 2 - kHalf, static_cast<__mmask16>(t.stored << kHalf), value);
}

template <int kVectors, int kRows, int kColumns>
void convolve_patch(const Patch& t) {
  constexpr int kPixels = kRows * kColumns;
  __m512 sums[kPixels][kVectors];
  for (int v = 0; v < kVectors; ++v) {
    const __mmask16 lanes = v + 1 == kVectors ? t.last : first_lanes(kLanes);
    __m512 start = t.bias ? _mm512_maskz_loadu_ps(lanes, t.bias + v * kLanes) : _mm512_setzero_ps();
    if (t.pairs) start = _mm512_shuffle_f32x4(start, start, _MM_SHUFFLE(1, 0, 1, 0));
#pragma GCC unroll 14
    for (int p = 0; p < kPixels; ++p) sums[p][v] = start;
  }
  const float* weight = t.weight;
  const float* x_row = t.x;
  for (std::int64_t kh = 0; kh < t.kernel; ++kh, x_row += t.x_tap_row) {
    for (std::int64_t k = 0; k < t.row_taps; ++k, weight += kVectors * kLanes) {
      __m512 w[kVectors];
      for (int v = 0; v < kVectors; ++v) w[v] = _mm512_load_ps(weight + v * kLanes);
#pragma GCC unroll 14
      for (int p = 0; p < kPixels; ++p) {
        const __m512 x = _mm512_set1_ps(x_row[k + p / kColumns * t.x_row + p % kColumns * t.x_column]);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; ++v) sums[p][v] = _mm512_fmadd_ps(x, w[v], sums[p][v]);
      }
    }
  }
  const __m512 floor = _mm512_set1_ps(t.floor);
#pragma GCC unroll 14
  for (int p = 0; p < kPixels; ++p) {
    float* const y = t.y + p / kColumns * t.y_row + p % kColumns * t.y_column;
    for (int v = 0; v + 1 < kVectors; ++v) _mm512_storeu_ps(y + v * kLanes, _mm512_max_ps(floor, sums[p][v]));
    const __m512 value = _mm512_max_ps(floor, sums[p][kVectors - 1]);
    _mm512_mask_storeu_ps(y + (kVectors - 1) * kLanes, t.stored, value);
    if (t.pairs) store_second(t, y, value);
  }
}

using ConvolvePatch = void (*)(const Patch&);

template <int kVectors, int kRows, std::size_t... kIndex>
constexpr std::array<ConvolvePatch, sizeof...(kIndex)> by_columns(std::index_sequence<kIndex...>) {
  return {convolve_patch<kVectors, kRows, static_cast<int>(kIndex) + 1>...};
}
template <int kVectors, int kRows>
constexpr auto kByColumns = by_columns<kVectors, kRows>(std::make_index_sequence<kMostPixels / kRows>());

inline ConvolvePatch patch_for(std::int64_t vectors, std::int64_t rows, std::int64_t columns) {
  const auto at = static_cast<std::size_t>(columns - 1);
  if (rows == 1) return vectors == 1 ? kByColumns<1, 1>[at] : kByColumns<2, 1>[at];
  return vectors == 1 ? kByColumns<1, 2>[at] : kByColumns<2, 2>[at];
}

// Output rows [begin, end) of one image, 32 channels at most. Rows of the kernel that see padding alone are
// left out.
inline void convolve_rows(const ConvolutionShape& s, Patch patch, std::int64_t vectors, std::int64_t begin,
                          std::int64_t end) {
  const std::int64_t width = s.out_width() / (patch.pairs ? 2 : 1);
  const std::int64_t rows = 2 * width <= kMostPixels ? 2 : 1;  // narrow images: two rows together
  const std::int64_t cuts = ceil_div(width, kMostPixels / rows);
  const float *const x = patch.x, *const weight = patch.weight;
  float* const y = patch.y;
  for (std::int64_t h = begin; h < end; h += rows) {
    const std::int64_t below = std::min(h + rows, end) - 1;
    const std::int64_t first_tap = std::max<std::int64_t>(0, s.padding - below * s.stride);
    patch.kernel = std::min(s.kernel, s.padding + s.height - h * s.stride) - first_tap;
    patch.weight = weight + first_tap * patch.row_taps * vectors * kLanes;
    for (std::int64_t cut = 0; cut < cuts; ++cut) {
      const std::int64_t left = width * cut / cuts, right = width * (cut + 1) / cuts;
      patch.x = x + h * patch.x_row + first_tap * patch.x_tap_row + left * patch.x_column;
      patch.y = y + (h - begin) * patch.y_row + left * patch.y_column;
      patch_for(vectors, std::min(rows, end - h), right - left)(patch);
    }
  }
}

// A 2x2 maximum after a relu, and where it comes from as in FloatActivation.
struct Pooled {
  __m512 value;
  __m512i from;
};

inline Pooled pool(__m512 a, __m512 b, __m512 c, __m512 d) {
  __m512 largest = a;
  __m512i from = _mm512_setzero_si512();
  const auto meet = [&](__m512 value, int index) {
    const __mmask16 larger = _mm512_cmp_ps_mask(value, largest, _CMP_GT_OQ) |
                             _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);  // a NaN is passed on
    largest = _mm512_mask_mov_ps(largest, larger, value);
    from = _mm512_mask_mov_epi32(from, larger, _mm512_set1_epi32(index));
  };
  meet(b, 1);
  meet(c, 2);
  meet(d, 3);
  const __mmask16 cut = _mm512_cmp_ps_mask(largest, _mm512_setzero_ps(), _CMP_LE_OQ);
  return {_mm512_mask_mov_ps(largest, cut, _mm512_setzero_ps()),
          _mm512_mask_mov_epi32(from, cut, _mm512_set1_epi32(kCutByRelu))};
}

}  // namespace
}  // namespace rn::kernels
