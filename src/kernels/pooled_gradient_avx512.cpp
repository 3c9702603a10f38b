// REQUIRES everywhere: avx512_available().
#include <array>
#include <utility>
#include <vector>

#include "kernels/float_convolution.h"
#include "kernels/float_frames.h"
#include "kernels/pooled_gradient.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kMostRows = 5;     // of a kernel
constexpr std::int64_t kMostVectors = 6;  // of such a row with its channels
constexpr std::int64_t kMostSums = 20;    // rows x vectors that stay in registers
constexpr std::int64_t kMostImageVectors = 2;

// A gradient that a maximum and a relu let through.
struct Passed {
  float value;
  std::int32_t place;  // of its first tap in an image
};

// Those of one image and output channel, row by row; `passed` has room for every pooled pixel. Returns their
// number.
std::size_t collect(const ConvolutionShape& s, const float* dy, const std::uint8_t* taken, Passed* passed) {
  const auto channels = static_cast<std::int32_t>(s.in_channels);
  const auto row = static_cast<std::int32_t>(s.width) * channels;
  const std::array<std::int32_t, 5> step = {0, channels, row, row + channels, /*kCutByRelu*/ 0};
  std::size_t count = 0;
  std::int64_t at = 0;
  for (std::int64_t h = 0; h < s.out_height() / 2; ++h) {
    auto place = static_cast<std::int32_t>(2 * h) * row;
    for (std::int64_t w = 0; w < s.out_width() / 2; ++w, at += s.out_channels, place += 2 * channels) {
      passed[count] = {dy[at], place + step[taken[at]]};
      count += taken[at] != kCutByRelu ? 1 : 0;  // no branch: which are cut cannot be foreseen
    }
  }
  return count;
}

// What meets an output channel's weight.
struct Rows {
  const Passed* passed;
  std::size_t count;
  std::int64_t image_row, weight_row;  // steps: of an image, and of a kernel's row with its channels
  __mmask16 last;                      // lanes of the last vector of such a row
};

template <int kVectors>
__mmask16 lanes(const Rows& t, int v) {
  return v + 1 == kVectors ? t.last : first_lanes(kLanes);
}

// dw += value * image, over all of t.
template <int kRows, int kVectors>
void add_to_weight(const Rows& t, const float* image, float* dw) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 5
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 6
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = _mm512_maskz_loadu_ps(lanes<kVectors>(t, v), dw + r * t.weight_row + v * kLanes);
    }
  }
  for (std::size_t i = 0; i < t.count; ++i) {
    const __m512 value = _mm512_set1_ps(t.passed[i].value);
    const float* const at = image + t.passed[i].place;
#pragma GCC unroll 5
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 6
      for (int v = 0; v < kVectors; ++v) {
        const __m512 taps = _mm512_maskz_loadu_ps(lanes<kVectors>(t, v), at + r * t.image_row + v * kLanes);
        sums[r][v] = _mm512_fmadd_ps(value, taps, sums[r][v]);
      }
    }
  }
#pragma GCC unroll 5
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 6
    for (int v = 0; v < kVectors; ++v) {
      _mm512_mask_storeu_ps(dw + r * t.weight_row + v * kLanes, lanes<kVectors>(t, v), sums[r][v]);
    }
  }
}

// Neighbours add to overlapping places, and a load of what was partly stored just now waits for the store. So
// they go to this many images in turn, which are summed in the end.
constexpr std::size_t kPartialImages = 4;

// images[i % 4] += value[i] * weight, over all of t.
template <int kRows, int kVectors>
void add_to_images(const Rows& t, const float* weight, float* images, std::int64_t image_size) {
  __m512 taps[kRows][kVectors];
#pragma GCC unroll 5
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 6
    for (int v = 0; v < kVectors; ++v) {
      taps[r][v] = _mm512_maskz_loadu_ps(lanes<kVectors>(t, v), weight + r * t.weight_row + v * kLanes);
    }
  }
  for (std::size_t i = 0; i < t.count; ++i) {
    const __m512 value = _mm512_set1_ps(t.passed[i].value);
    float* const at = images + static_cast<std::int64_t>(i % kPartialImages) * image_size + t.passed[i].place;
#pragma GCC unroll 5
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 6
      for (int v = 0; v < kVectors; ++v) {
        float* const to = at + r * t.image_row + v * kLanes;
        const __m512 sum = _mm512_maskz_loadu_ps(lanes<kVectors>(t, v), to);
        _mm512_mask_storeu_ps(to, lanes<kVectors>(t, v), _mm512_fmadd_ps(value, taps[r][v], sum));
      }
    }
  }
}

using AddToWeight = void (*)(const Rows&, const float*, float*);
using AddToImages = void (*)(const Rows&, const float*, float*, std::int64_t);

// [rows - 1]; null: too many sums.
template <int kVectors, std::size_t... kIndex>
constexpr std::array<AddToWeight, sizeof...(kIndex)> weights_by_rows(std::index_sequence<kIndex...>) {
  const auto of = []<std::size_t kRow>(std::integral_constant<std::size_t, kRow>) -> AddToWeight {
    if constexpr ((kRow + 1) * kVectors <= kMostSums)
      return add_to_weight<static_cast<int>(kRow) + 1, kVectors>;
    return nullptr;
  };
  return {of(std::integral_constant<std::size_t, kIndex>())...};
}
template <int kVectors, std::size_t... kIndex>
constexpr std::array<AddToImages, sizeof...(kIndex)> images_by_rows(std::index_sequence<kIndex...>) {
  return {add_to_images<static_cast<int>(kIndex) + 1, kVectors>...};
}
using AllRows = std::make_index_sequence<kMostRows>;
// [vectors - 1][rows - 1]
constexpr std::array kAddToWeight = {weights_by_rows<1>(AllRows()), weights_by_rows<2>(AllRows()),
                                     weights_by_rows<3>(AllRows()), weights_by_rows<4>(AllRows()),
                                     weights_by_rows<5>(AllRows()), weights_by_rows<6>(AllRows())};
constexpr std::array kAddToImages = {images_by_rows<1>(AllRows()), images_by_rows<2>(AllRows())};

// The gradients of one image and channel after another, with what they have in common.
class Walk {
 public:
  Walk(const ConvolutionShape& s, const float* dy, const std::uint8_t* taken)
      : s_(s), dy_(dy), taken_(taken), pooled_(s.out_height() / 2 * (s.out_width() / 2)) {
    passed_.resize(static_cast<std::size_t>(pooled_ + 1));  // collect() writes one beyond what it counts
    const std::int64_t row = s.kernel * s.in_channels;
    vectors_ = ceil_div(row, kLanes);
    rows_ = {passed_.data(), 0, s.width * s.in_channels, row, first_lanes(row - (vectors_ - 1) * kLanes)};
  }

  std::size_t kernel_index() const { return static_cast<std::size_t>(s_.kernel - 1); }
  std::size_t vectors_index() const { return static_cast<std::size_t>(vectors_ - 1); }
  std::int64_t weight_size() const { return s_.kernel * rows_.weight_row; }
  std::int64_t image_size() const { return s_.height * rows_.image_row; }

  const Rows& rows(std::int64_t image, std::int64_t channel) {
    const std::int64_t at = image * pooled_ * s_.out_channels + channel;
    rows_.count = collect(s_, dy_ + at, taken_ + at, passed_.data());
    return rows_;
  }

 private:
  const ConvolutionShape s_;
  const float* const dy_;
  const std::uint8_t* const taken_;
  const std::int64_t pooled_;
  std::int64_t vectors_ = 0;
  std::vector<Passed> passed_;
  Rows rows_{};
};

}  // namespace

bool pooled_weight_gradient_pays(const ConvolutionShape& s) {
  const std::int64_t vectors = ceil_div(s.kernel * s.in_channels, kLanes);
  return s.stride == 1 && s.padding == 0 && s.kernel <= kMostRows && vectors <= kMostVectors &&
         s.kernel * vectors <= kMostSums && s.out_height() >= 2 && s.out_width() >= 2;
}

bool pooled_input_gradient_pays(const ConvolutionShape& s) {
  return pooled_weight_gradient_pays(s) && s.kernel * s.in_channels <= kMostImageVectors * kLanes;
}

void pooled_weight_gradient(const ConvolutionShape& s, const float* x, const float* dy,
                            const std::uint8_t* taken, std::int64_t begin, std::int64_t end, float* dw) {
  Walk walk(s, dy, taken);
  const auto add = kAddToWeight[walk.vectors_index()][walk.kernel_index()];
  std::fill(dw + begin * walk.weight_size(), dw + end * walk.weight_size(), 0.0F);
  for (std::int64_t n = 0; n < s.images; ++n) {  // an image stays in the first-level cache for all channels
    for (std::int64_t o = begin; o < end; ++o) {
      add(walk.rows(n, o), x + n * walk.image_size(), dw + o * walk.weight_size());
    }
  }
}

void pooled_input_gradient(const ConvolutionShape& s, const float* weight, const float* dy,
                           const std::uint8_t* taken, std::int64_t begin, std::int64_t end, float* dx) {
  Walk walk(s, dy, taken);
  const auto add = kAddToImages[walk.vectors_index()][walk.kernel_index()];
  const std::int64_t size = walk.image_size();
  std::vector<float> images(kPartialImages * static_cast<std::size_t>(size));
  for (std::int64_t n = begin; n < end; ++n) {
    std::fill(images.begin(), images.end(), 0.0F);
    for (std::int64_t o = 0; o < s.out_channels; ++o) {
      add(walk.rows(n, o), weight + o * walk.weight_size(), images.data(), size);
    }
    const float* const from = images.data();
    float* const to = dx + n * size;
    for (std::int64_t i = 0; i < size; ++i) {
      to[i] = (from[i] + from[size + i]) + (from[2 * size + i] + from[3 * size + i]);
    }
  }
}

void pooled_bias_gradient(const ConvolutionShape& s, const float* dy, const std::uint8_t* taken,
                          std::int64_t begin, std::int64_t end, float* bias_gradients) {
  const std::int64_t image = s.out_height() / 2 * (s.out_width() / 2) * s.out_channels;
  for (std::int64_t n = begin; n < end; ++n) {
    for (std::int64_t c = 0; c < s.out_channels; c += kLanes) {
      const __mmask16 lanes = first_lanes(s.out_channels - c);
      __m512 sum = _mm512_setzero_ps();
      for (std::int64_t at = n * image + c; at < (n + 1) * image; at += s.out_channels) {
        const __mmask16 passes = _mm_mask_cmpneq_epu8_mask(lanes, _mm_maskz_loadu_epi8(lanes, taken + at),
                                                           _mm_set1_epi8(static_cast<char>(kCutByRelu)));
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(passes, dy + at));
      }
      _mm512_mask_storeu_ps(bias_gradients + n * s.out_channels + c, lanes, sum);
    }
  }
}

}  // namespace rn::kernels
