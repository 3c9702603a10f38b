// Convolution and activation of float_convolution.h. REQUIRES everywhere: avx512_available().
#include <limits>

#include "kernels/float_convolution.h"
#include "kernels/float_patch.h"
#include "kernels/float_winograd.h"

namespace rn::kernels {
namespace {

// Pairs of rows, [row][column][32 channels], pooled: 16 channels.
void pool_vector(const float* pair, std::int64_t row_step, std::int64_t width, std::int64_t channels,
                 __mmask16 lanes, float* y, std::uint8_t* taken) {
  constexpr std::int64_t kColumn = kMostVectors * kLanes;
  for (std::int64_t w = 0; w + 1 < width; w += 2, y += channels) {
    const float* const at = pair + w * kColumn;
    const Pooled pooled = pool(_mm512_load_ps(at), _mm512_load_ps(at + kColumn),
                               _mm512_load_ps(at + row_step), _mm512_load_ps(at + row_step + kColumn));
    _mm512_mask_storeu_ps(y, lanes, pooled.value);
    if (taken == nullptr) continue;
    _mm_mask_storeu_epi8(taken, lanes, _mm512_cvtepi32_epi8(pooled.from));
    taken += channels;
  }
}

// One image, 32 channels at most: two rows of sums at a time, which stay in the first-level cache.
void convolve_and_pool(const ConvolutionShape& s, Patch patch, std::int64_t vectors, float* y,
                       std::uint8_t* taken, float* pair) {
  const std::int64_t pooled_row = s.out_width() / 2 * s.out_channels;
  patch.y = pair;
  constexpr std::int64_t kPixel = kMostVectors * kLanes;
  patch.y_column = (patch.pairs ? 2 : 1) * kPixel;
  patch.y_row = s.out_width() * kPixel;
  patch.stored = first_lanes(patch.pairs ? kLanes / 2 : kLanes);
  for (std::int64_t h = 0; h + 1 < s.out_height(); h += 2, y += pooled_row) {
    convolve_rows(s, patch, vectors, h, h + 2);
    for (std::int64_t v = 0; v < vectors; ++v) {
      pool_vector(pair + v * kLanes, patch.y_row, s.out_width(), s.out_channels,
                  v + 1 == vectors ? patch.last : first_lanes(kLanes), y + v * kLanes,
                  taken == nullptr ? nullptr : taken + v * kLanes);
    }
    if (taken != nullptr) taken += pooled_row;
  }
}

// 16 channels of one image: to = dy where the relu passed y. Returns the sum over the pixels.
__m512 cut_gradient(const float* dy, const float* y, std::int64_t pixels, std::int64_t channels,
                    __mmask16 lanes, float* to) {
  __m512 sum = _mm512_setzero_ps();
  for (std::int64_t p = 0; p < pixels * channels; p += channels) {
    const __mmask16 passes =
        _mm512_mask_cmp_ps_mask(lanes, _mm512_maskz_loadu_ps(lanes, y + p), _mm512_setzero_ps(), _CMP_NLE_UQ);
    const __m512 value = _mm512_maskz_loadu_ps(passes, dy + p);
    _mm512_mask_storeu_ps(to + p, lanes, value);
    sum = _mm512_add_ps(sum, value);
  }
  return sum;
}

// The same for pooled values: each goes to where it was taken from.
__m512 unpool_gradient(const float* dy, const std::uint8_t* taken, std::int64_t height, std::int64_t width,
                       std::int64_t channels, __mmask16 lanes, float* to) {
  __m512 sum = _mm512_setzero_ps();
  const std::int64_t row = width * channels;
  if (height % 2 != 0) {  // no window has the last row, nor the last column below
    for (std::int64_t w = 0; w < width; ++w) {
      _mm512_mask_storeu_ps(to + (height - 1) * row + w * channels, lanes, _mm512_setzero_ps());
    }
  }
  for (std::int64_t h = 0; h + 1 < height; h += 2) {
    float* at = to + h * row;
    for (std::int64_t w = 0; w + 1 < width; w += 2, at += 2 * channels, dy += channels, taken += channels) {
      const __m512 value = _mm512_maskz_loadu_ps(lanes, dy);
      const __m512i from = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, taken));
      const auto part = [&](int index) {
        return _mm512_maskz_mov_ps(_mm512_cmpeq_epi32_mask(from, _mm512_set1_epi32(index)), value);
      };
      _mm512_mask_storeu_ps(at, lanes, part(0));
      _mm512_mask_storeu_ps(at + channels, lanes, part(1));
      _mm512_mask_storeu_ps(at + row, lanes, part(2));
      _mm512_mask_storeu_ps(at + row + channels, lanes, part(3));
      const __mmask16 passes = _mm512_cmpneq_epi32_mask(from, _mm512_set1_epi32(kCutByRelu));
      sum = _mm512_add_ps(sum, _mm512_maskz_mov_ps(passes, value));
    }
    if (width % 2 != 0) {
      _mm512_mask_storeu_ps(at, lanes, _mm512_setzero_ps());
      _mm512_mask_storeu_ps(at + row, lanes, _mm512_setzero_ps());
    }
  }
  return sum;
}

}  // namespace

void float_convolution(const ConvolutionShape& s, const float* x, const float* packed_weight,
                       const float* bias, FloatActivation activation, std::int64_t begin, std::int64_t end,
                       float* y, std::uint8_t* taken) {
  if (winograd_supports(s)) {
    winograd_convolution(s, x, packed_weight, bias, activation, begin, end, y, taken);
    return;
  }
  const bool pairs = float_convolution_pairs_pixels(s);
  const std::int64_t together = pairs ? 2 : 1;  // pixels of a vector
  const std::int64_t row_taps = (s.kernel + together - 1) * s.in_channels, block = kMostVectors * kLanes;
  const bool pools = activation == FloatActivation::kMaxPool;
  const std::int64_t height = s.out_height(), width = s.out_width();
  const std::int64_t y_image = (pools ? height / 2 * (width / 2) : height * width) * s.out_channels;
  Frames frames(s, x);
  const Buffer pair = zeroed_buffer(pools ? 2 * width * block : 0);
  Patch patch{};
  patch.row_taps = row_taps;
  patch.x_tap_row = frames.row_step();
  patch.x_row = s.stride * frames.row_step();
  patch.x_column = together * s.stride * s.in_channels;
  patch.y_row = width * s.out_channels;
  patch.y_column = together * s.out_channels;
  patch.pairs = pairs;
  patch.floor = activation == FloatActivation::kRelu ? 0 : -std::numeric_limits<float>::infinity();
  for (std::int64_t first = begin; first < end; first += frames.capacity()) {
    const std::int64_t count = std::min(frames.capacity(), end - first);
    const float* const placed = frames.place(first, count);
    for (std::int64_t out = 0; out < s.out_channels; out += block) {  // its weights stay in the cache
      const std::int64_t channels = std::min(block, s.out_channels - out);
      const std::int64_t vectors = ceil_div(channels, kLanes);
      patch.weight = packed_weight + out * s.kernel * row_taps;
      patch.bias = bias ? bias + out : nullptr;
      patch.last = patch.stored = first_lanes(channels - (vectors - 1) * kLanes);
      for (std::int64_t n = 0; n < count; ++n) {
        const std::int64_t at = (first + n) * y_image + out;
        patch.x = placed + n * frames.image_step();
        patch.y = y + at;
        if (pools) {
          convolve_and_pool(s, patch, vectors, y + at, taken == nullptr ? nullptr : taken + at, pair.get());
        } else {
          convolve_rows(s, patch, vectors, 0, height);
        }
      }
    }
  }
}

void float_activation_gradient(const ConvolutionShape& s, FloatActivation activation, const float* dy,
                               const float* y, const std::uint8_t* taken, std::int64_t begin,
                               std::int64_t end, float* dsums, float* bias_gradients) {
  const std::int64_t height = s.out_height(), width = s.out_width(), channels = s.out_channels;
  const std::int64_t image = height * width * channels, pooled = height / 2 * (width / 2) * channels;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      const __mmask16 lanes = first_lanes(channels - c);
      const __m512 sum = activation == FloatActivation::kRelu
                             ? cut_gradient(dy + n * image + c, y + n * image + c, height * width, channels,
                                            lanes, dsums + n * image + c)
                             : unpool_gradient(dy + n * pooled + c, taken + n * pooled + c, height, width,
                                               channels, lanes, dsums + n * image + c);
      _mm512_mask_storeu_ps(bias_gradients + n * channels + c, lanes, sum);
    }
  }
}

}  // namespace rn::kernels
