// REQUIRES everywhere: avx512_available().
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/float_convolution.h"
#include "kernels/relu_pool.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kLanes = 32;
static_assert(sizeof(BFloat16) == 2);

__mmask32 first_lanes(std::int64_t count) {
  return count >= kLanes ? ~__mmask32{0} : (__mmask32{1} << count) - 1;
}

// The bits of max(x, 0): no sign; a NaN stays one.
__m512i cut(__m512i x) {
  const __m512i magnitude = _mm512_and_si512(x, _mm512_set1_epi16(0x7fff));
  const __mmask32 is_nan = _mm512_cmpgt_epi16_mask(magnitude, _mm512_set1_epi16(0x7f80));
  return _mm512_mask_mov_epi16(_mm512_max_epi16(x, _mm512_setzero_si512()), is_nan, magnitude);
}

// 32 channels at most of two rows of one image.
void pool_rows(const BFloat16* x, std::int64_t row, const PoolShape& s, __mmask32 lanes, BFloat16* y,
               std::uint8_t* taken) {
  const auto load = [&](const BFloat16* from) { return cut(_mm512_maskz_loadu_epi16(lanes, from)); };
  for (std::int64_t w = 0; w + 1 < s.width;
       w += 2, x += 2 * s.channels, y += s.channels, taken += s.channels) {
    __m512i largest = load(x);
    __m512i from = _mm512_setzero_si512();
    const auto meet = [&](const BFloat16* other, int index) {
      const __m512i value = load(other);
      const __mmask32 larger = _mm512_cmpgt_epi16_mask(value, largest);
      largest = _mm512_max_epi16(largest, value);
      from = _mm512_mask_mov_epi16(from, larger, _mm512_set1_epi16(static_cast<short>(index)));
    };
    meet(x + s.channels, 1);
    meet(x + row, 2);
    meet(x + row + s.channels, 3);
    const __mmask32 is_cut = _mm512_testn_epi16_mask(largest, largest);
    from = _mm512_mask_mov_epi16(from, is_cut, _mm512_set1_epi16(kCutByRelu));
    _mm512_mask_storeu_epi16(y, lanes, largest);
    _mm256_mask_storeu_epi8(taken, lanes, _mm512_cvtepi16_epi8(from));
  }
}

// 32 channels at most of two rows of one image; the last column of an odd width stays as it is.
void unpool_rows(const BFloat16* dy, const std::uint8_t* taken, std::int64_t row, const PoolShape& s,
                 __mmask32 lanes, BFloat16* dx) {
  for (std::int64_t w = 0; w + 1 < s.width;
       w += 2, dx += 2 * s.channels, dy += s.channels, taken += s.channels) {
    const __m512i value = _mm512_maskz_loadu_epi16(lanes, dy);
    const __m256i from = _mm256_maskz_loadu_epi8(lanes, taken);
    const auto store = [&](BFloat16* to, char index) {
      const __mmask32 mine = _mm256_cmpeq_epi8_mask(from, _mm256_set1_epi8(index));
      _mm512_mask_storeu_epi16(to, lanes, _mm512_maskz_mov_epi16(mine, value));
    };
    store(dx, 0);
    store(dx + s.channels, 1);
    store(dx + row, 2);
    store(dx + row + s.channels, 3);
  }
}

void clear(BFloat16* from, std::int64_t count) {
  std::memset(static_cast<void*>(from), 0, static_cast<std::size_t>(count) * sizeof(BFloat16));
}

}  // namespace

void relu(const BFloat16* x, std::int64_t count, BFloat16* y) {
  for (std::int64_t i = 0; i < count; i += kLanes) {
    const __mmask32 lanes = first_lanes(count - i);
    _mm512_mask_storeu_epi16(y + i, lanes, cut(_mm512_maskz_loadu_epi16(lanes, x + i)));
  }
}

void relu_gradient(const BFloat16* dy, const BFloat16* y, std::int64_t count, BFloat16* dx) {
  for (std::int64_t i = 0; i < count; i += kLanes) {
    const __mmask32 lanes = first_lanes(count - i);
    const __m512i value = _mm512_maskz_loadu_epi16(lanes, y + i);
    const __mmask32 passes = _mm512_test_epi16_mask(value, value);
    _mm512_mask_storeu_epi16(dx + i, lanes, _mm512_maskz_loadu_epi16(passes, dy + i));
  }
}

void relu_pool(const PoolShape& s, const BFloat16* x, std::int64_t begin, std::int64_t end, BFloat16* y,
               std::uint8_t* taken) {
  const std::int64_t row = s.width * s.channels, pooled_row = s.width / 2 * s.channels;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t h = 0; h + 1 < s.height; h += 2) {
      const std::int64_t from = (n * s.height + h) * row, to = (n * (s.height / 2) + h / 2) * pooled_row;
      for (std::int64_t c = 0; c < s.channels; c += kLanes) {
        pool_rows(x + from + c, row, s, first_lanes(s.channels - c), y + to + c, taken + to + c);
      }
    }
  }
}

void relu_pool_gradient(const PoolShape& s, const BFloat16* dy, const std::uint8_t* taken, std::int64_t begin,
                        std::int64_t end, BFloat16* dx) {
  const std::int64_t row = s.width * s.channels, pooled_row = s.width / 2 * s.channels;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t h = 0; h + 1 < s.height; h += 2) {
      const std::int64_t to = (n * s.height + h) * row, from = (n * (s.height / 2) + h / 2) * pooled_row;
      for (std::int64_t c = 0; c < s.channels; c += kLanes) {
        unpool_rows(dy + from + c, taken + from + c, row, s, first_lanes(s.channels - c), dx + to + c);
      }
      if (s.width % 2 == 0) continue;  // no window has the last column
      clear(dx + to + row - s.channels, s.channels);
      clear(dx + to + 2 * row - s.channels, s.channels);
    }
    if (s.height % 2 != 0) clear(dx + ((n + 1) * s.height - 1) * row, row);  // nor the last row
  }
}

}  // namespace rn::kernels
