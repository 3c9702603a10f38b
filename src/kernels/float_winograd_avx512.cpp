// The transforms of float_winograd.h around the products of float_patch.h and float_weight_patch.h.
#include <algorithm>
#include <limits>

#include "kernels/float_patch.h"
#include "kernels/float_weight_patch.h"
#include "kernels/float_winograd.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kPositions = 16;                 // of a transformed 4x4 piece, 4 * row + column
constexpr std::int64_t kBlock = kMostVectors * kLanes;  // output channels
constexpr std::int64_t kTiles = 56;           // together: what they and one block's sums take stays cached
constexpr std::int64_t kGradientTiles = 224;  // more, since all sums are read and written for them

// Values from one position to the next. Of powers of two, all would meet in the same set of the first-level
// cache.
constexpr std::int64_t position_step(std::int64_t values) { return values + kLanes; }

// The 4 x 4 vectors of B^T d B.
inline void transform_input(const __m512 (&d)[4][4], __m512 (&v)[4][4]) {
  __m512 t[4][4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i][0] = _mm512_sub_ps(d[i][0], d[i][2]);
    t[i][1] = _mm512_add_ps(d[i][1], d[i][2]);
    t[i][2] = _mm512_sub_ps(d[i][2], d[i][1]);
    t[i][3] = _mm512_sub_ps(d[i][1], d[i][3]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    v[0][j] = _mm512_sub_ps(t[0][j], t[2][j]);
    v[1][j] = _mm512_add_ps(t[1][j], t[2][j]);
    v[2][j] = _mm512_sub_ps(t[2][j], t[1][j]);
    v[3][j] = _mm512_sub_ps(t[1][j], t[3][j]);
  }
}

// A^T m A.
inline void transform_output(const __m512 (&m)[4][4], __m512 (&y)[2][2]) {
  __m512 t[2][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    t[0][j] = _mm512_add_ps(_mm512_add_ps(m[0][j], m[1][j]), m[2][j]);
    t[1][j] = _mm512_sub_ps(_mm512_sub_ps(m[1][j], m[2][j]), m[3][j]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    y[i][0] = _mm512_add_ps(_mm512_add_ps(t[i][0], t[i][1]), t[i][2]);
    y[i][1] = _mm512_sub_ps(_mm512_sub_ps(t[i][1], t[i][2]), t[i][3]);
  }
}

// A y A^T.
inline void transform_gradient(const __m512 (&y)[2][2], __m512 (&m)[4][4]) {
  __m512 t[4][2];
#pragma GCC unroll 2
  for (int j = 0; j < 2; ++j) {
    t[0][j] = y[0][j];
    t[1][j] = _mm512_add_ps(y[0][j], y[1][j]);
    t[2][j] = _mm512_sub_ps(y[0][j], y[1][j]);
    t[3][j] = _mm512_sub_ps(_mm512_setzero_ps(), y[1][j]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    m[i][0] = t[i][0];
    m[i][1] = _mm512_add_ps(t[i][0], t[i][1]);
    m[i][2] = _mm512_sub_ps(t[i][0], t[i][1]);
    m[i][3] = _mm512_sub_ps(_mm512_setzero_ps(), t[i][1]);
  }
}

// G g G^T.
inline void transform_weight(const __m512 (&g)[3][3], __m512 (&u)[4][4]) {
  const __m512 half = _mm512_set1_ps(0.5F);
  const auto rows = [&](__m512 a, __m512 b, __m512 c, __m512(&out)[4]) {
    const __m512 outer = _mm512_mul_ps(half, _mm512_add_ps(a, c)), inner = _mm512_mul_ps(half, b);
    out[0] = a;
    out[1] = _mm512_add_ps(outer, inner);
    out[2] = _mm512_sub_ps(outer, inner);
    out[3] = c;
  };
  __m512 t[3][4];  // [column][row]
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j) rows(g[0][j], g[1][j], g[2][j], t[j]);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) rows(t[0][i], t[1][i], t[2][i], u[i]);
}

// G^T s G.
inline void transform_sums(const __m512 (&s)[4][4], __m512 (&g)[3][3]) {
  const __m512 half = _mm512_set1_ps(0.5F);
  const auto rows = [&](__m512 a, __m512 b, __m512 c, __m512 d, __m512(&out)[3]) {
    const __m512 sum = _mm512_mul_ps(half, _mm512_add_ps(b, c));
    out[0] = _mm512_add_ps(a, sum);
    out[1] = _mm512_mul_ps(half, _mm512_sub_ps(b, c));
    out[2] = _mm512_add_ps(sum, d);
  };
  __m512 t[4][3];  // [column][row]
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) rows(s[0][j], s[1][j], s[2][j], s[3][j], t[j]);
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) rows(t[0][i], t[1][i], t[2][i], t[3][i], g[i]);
}

// Loads n x n vectors that lie `row` and `column` values apart.
template <int kSide>
inline void load(const float* from, std::int64_t row, std::int64_t column, __m512 (&to)[kSide][kSide]) {
#pragma GCC unroll 4
  for (int i = 0; i < kSide; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kSide; ++j) to[i][j] = _mm512_loadu_ps(from + i * row + j * column);
  }
}
template <int kSide>
inline void store(const __m512 (&from)[kSide][kSide], std::int64_t row, std::int64_t column, float* to) {
#pragma GCC unroll 4
  for (int i = 0; i < kSide; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kSide; ++j) _mm512_storeu_ps(to + i * row + j * column, from[i][j]);
  }
}

// Packed: the 16 positions, at each the weight of a 1x1 convolution as float_convolution.cpp packs it.
// `load_taps(in, out, g)`: the taps between an input channel and 16 output channels.
template <class LoadTaps>
void pack(std::int64_t in_channels, std::int64_t out_channels, float* packed, const LoadTaps& load_taps) {
  for (std::int64_t out = 0; out < out_channels; out += kLanes) {
    const std::int64_t block = out / kBlock * kBlock, step = std::min(kBlock, out_channels - block);
    for (std::int64_t in = 0; in < in_channels; ++in) {
      __m512 g[3][3], u[4][4];
      load_taps(in, out, g);
      transform_weight(g, u);
      const std::int64_t position = position_step(in_channels * out_channels);
      store<4>(u, 4 * position, position, packed + block * in_channels + in * step + (out - block));
    }
  }
}

// The pieces of some images, numbered image by image, row by row.
struct Tiles {
  std::int64_t height, width;  // of an image, in tiles

  template <class Body>  // body(tile - begin, image, output row, output column)
  void for_each(std::int64_t begin, std::int64_t end, const Body& body) const {
    for (std::int64_t tile = begin; tile < end; ++tile) {
      body(tile - begin, tile / (height * width), 2 * (tile / width % height), 2 * (tile % width));
    }
  }
};

// Into [position][`most` tiles][channels].
void transform_inputs(const Tiles& tiles, std::int64_t begin, std::int64_t end, const float* x,
                      std::int64_t image_step, std::int64_t row_step, std::int64_t channels,
                      std::int64_t most, float* v) {
  const std::int64_t position = position_step(most * channels);
  tiles.for_each(begin, end, [&](auto at, auto image, auto row, auto column) {
    const float* const from = x + image * image_step + row * row_step + column * channels;
    for (std::int64_t c = 0; c < channels; c += kLanes) {
      __m512 d[4][4], t[4][4];
      load<4>(from + c, row_step, channels, d);
      transform_input(d, t);
      store<4>(t, 4 * position, position, v + at * channels + c);
    }
  });
}

// 16 channels of one tile on their way to y.
class TileWriter {
 public:
  TileWriter(const ConvolutionShape& shape, const float* bias, FloatActivation activation, float* y,
             std::uint8_t* taken)
      : bias_(bias),
        activation_(activation),
        y_(y),
        taken_(taken),
        height_(shape.out_height()),
        width_(shape.out_width()),
        channels_(shape.out_channels) {}

  void write(std::int64_t image, std::int64_t row, std::int64_t column, std::int64_t channel,
             __m512 (&sums)[2][2]) const {
    const __m512 zero = _mm512_setzero_ps();
    if (bias_ != nullptr) {
      const __m512 bias = _mm512_loadu_ps(bias_ + channel);
      for (auto& pair : sums) {
        for (auto& sum : pair) sum = _mm512_add_ps(sum, bias);
      }
    }
    if (activation_ == FloatActivation::kMaxPool) {
      const std::int64_t at =
          ((image * (height_ / 2) + row / 2) * (width_ / 2) + column / 2) * channels_ + channel;
      const Pooled pooled = pool(sums[0][0], sums[0][1], sums[1][0], sums[1][1]);
      _mm512_storeu_ps(y_ + at, pooled.value);
      if (taken_ != nullptr) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(taken_ + at), _mm512_cvtepi32_epi8(pooled.from));
      }
      return;
    }
    if (activation_ == FloatActivation::kRelu) {
      for (auto& pair : sums) {
        for (auto& sum : pair) sum = _mm512_max_ps(zero, sum);
      }
    }
    const std::int64_t at = ((image * height_ + row) * width_ + column) * channels_ + channel;
    store<2>(sums, width_ * channels_, channels_, y_ + at);
  }

 private:
  const float* const bias_;
  const FloatActivation activation_;
  float* const y_;
  std::uint8_t* const taken_;
  const std::int64_t height_, width_, channels_;
};

}  // namespace

std::int64_t winograd_packed_weight_size(const ConvolutionShape& s) {
  return kPositions * position_step(s.in_channels * s.out_channels);
}

void winograd_pack_weight(const ConvolutionShape& s, const float* weight, float* packed) {
  const auto out_step = static_cast<int>(9 * s.in_channels);
  const __m512i lanes = _mm512_mullo_epi32(
      _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32(out_step));
  pack(s.in_channels, s.out_channels, packed, [&](std::int64_t in, std::int64_t out, __m512(&g)[3][3]) {
    for (int tap = 0; tap < 9; ++tap) {
      const float* const from = weight + out * out_step + tap * s.in_channels + in;
      g[tap / 3][tap % 3] = _mm512_i32gather_ps(lanes, from, sizeof(float));
    }
  });
}

// Its output channels are the weight's input channels; its taps run backwards.
void winograd_pack_weight_for_input_gradient(const ConvolutionShape& s, const float* weight, float* packed) {
  pack(s.out_channels, s.in_channels, packed, [&](std::int64_t in, std::int64_t out, __m512(&g)[3][3]) {
    for (int tap = 0; tap < 9; ++tap) {
      g[tap / 3][tap % 3] = _mm512_loadu_ps(weight + (in * 9 + 8 - tap) * s.in_channels + out);
    }
  });
}

void winograd_convolution(const ConvolutionShape& s, const float* x, const float* packed_weight,
                          const float* bias, FloatActivation activation, std::int64_t begin, std::int64_t end,
                          float* y, std::uint8_t* taken) {
  const std::int64_t in = s.in_channels, out = s.out_channels;
  const Tiles tiles{s.out_height() / 2, s.out_width() / 2};
  const std::int64_t input_step = position_step(kTiles * in), product_step = position_step(kTiles * kBlock);
  const TileWriter writer(s, bias, activation, y, taken);
  Frames frames(s, x);
  const Buffer inputs = zeroed_buffer(kPositions * input_step);
  const Buffer products = zeroed_buffer(kPositions * product_step);
  Patch patch{};
  patch.row_taps = patch.x_column = in;
  patch.y_column = kBlock;
  patch.floor = -std::numeric_limits<float>::infinity();
  patch.last = patch.stored = first_lanes(kLanes);
  for (std::int64_t first = begin; first < end; first += frames.capacity()) {
    const std::int64_t count = std::min(frames.capacity(), end - first);
    const float* const placed = frames.place(first, count);
    const std::int64_t all = count * tiles.height * tiles.width;
    for (std::int64_t tile = 0; tile < all; tile += kTiles) {
      const std::int64_t last = std::min(all, tile + kTiles);
      transform_inputs(tiles, tile, last, placed, frames.image_step(), frames.row_step(), in, kTiles,
                       inputs.get());
      const ConvolutionShape product{1, 1, last - tile, in, out, 1, 1, 0};
      for (std::int64_t block = 0; block < out; block += kBlock) {
        const std::int64_t vectors = std::min(kMostVectors, (out - block) / kLanes);
        for (std::int64_t position = 0; position < kPositions; ++position) {
          patch.x = inputs.get() + position * input_step;
          patch.weight = packed_weight + position * position_step(in * out) + block * in;
          patch.y = products.get() + position * product_step;
          convolve_rows(product, patch, vectors, 0, 1);
        }
        tiles.for_each(tile, last, [&](auto at, auto image, auto row, auto column) {
          for (std::int64_t v = 0; v < vectors; ++v) {
            __m512 m[4][4], sums[2][2];
            load<4>(products.get() + at * kBlock + v * kLanes, 4 * product_step, product_step, m);
            transform_output(m, sums);
            writer.write(first + image, row, column, block + v * kLanes, sums);
          }
        });
      }
    }
  }
}

void winograd_weight_gradient(const ConvolutionShape& s, const float* x, const float* dy, std::int64_t begin,
                              std::int64_t end, float* dw) {
  const std::int64_t in = s.in_channels, mine = end - begin;
  const Tiles tiles{s.out_height() / 2, s.out_width() / 2};
  const std::int64_t input_step = position_step(kGradientTiles * in);
  const std::int64_t gradient_step = position_step(kGradientTiles * mine),
                     sum_step = position_step(mine * in);
  Frames frames(s, x);
  const Buffer inputs = zeroed_buffer(kPositions * input_step);
  const Buffer gradients = zeroed_buffer(kPositions * gradient_step);
  const Buffer sums = zeroed_buffer(kPositions * sum_step);
  WeightPatch patch{};
  patch.images = patch.height = 1;
  patch.x_column = patch.dw_output = in;
  patch.dy_column = mine;
  patch.adds = true;
  const std::int64_t dy_row = s.out_width() * s.out_channels, dy_image = s.out_height() * dy_row;
  for (std::int64_t first = 0; first < s.images; first += frames.capacity()) {
    const std::int64_t count = std::min(frames.capacity(), s.images - first);
    const float* const placed = frames.place(first, count);
    const std::int64_t all = count * tiles.height * tiles.width;
    for (std::int64_t tile = 0; tile < all; tile += kGradientTiles) {
      const std::int64_t last = std::min(all, tile + kGradientTiles);
      transform_inputs(tiles, tile, last, placed, frames.image_step(), frames.row_step(), in, kGradientTiles,
                       inputs.get());
      tiles.for_each(tile, last, [&](auto at, auto image, auto row, auto column) {
        const float* const from =
            dy + (first + image) * dy_image + row * dy_row + column * s.out_channels + begin;
        for (std::int64_t o = 0; o < mine; o += kLanes) {
          __m512 d[2][2], m[4][4];
          load<2>(from + o, dy_row, s.out_channels, d);
          transform_gradient(d, m);
          store<4>(m, 4 * gradient_step, gradient_step, gradients.get() + at * mine + o);
        }
      });
      patch.width = last - tile;
      const ConvolutionShape product{1, 1, patch.width, in, mine, 1, 1, 0};
      for (std::int64_t position = 0; position < kPositions; ++position) {
        patch.x = inputs.get() + position * input_step;
        patch.dy = gradients.get() + position * gradient_step;
        patch.dw = sums.get() + position * sum_step;
        sum_all_patches(product, patch, /*tap_row=*/0, 0, mine);
      }
    }
  }
  for (std::int64_t o = 0; o < mine; ++o) {
    for (std::int64_t c = 0; c < in; c += kLanes) {
      __m512 t[4][4], g[3][3];
      load<4>(sums.get() + o * in + c, 4 * sum_step, sum_step, t);
      transform_sums(t, g);
      store<3>(g, 3 * in, in, dw + (begin + o) * 9 * in + c);
    }
  }
}

}  // namespace rn::kernels
