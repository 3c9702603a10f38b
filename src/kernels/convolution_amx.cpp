// The tile products of convolution.h.
#include <algorithm>

#include "kernels/convolution.h"
#include "kernels/tiles.h"

namespace rn::kernels {
namespace {

// Packed: [pair of 16 output channels][tap][32 input channels] pairs of tiles [input pair 16][output 16][2].
BFloat16* packed_at(BFloat16* packed, std::int64_t pair, std::int64_t taps, std::int64_t in_blocks) {
  return packed + pair * taps * in_blocks * kPairOfTiles;
}

class PartOfConvolution {
 public:
  PartOfConvolution(const ConvolutionShape& shape, const BFloat16* x, const BFloat16* packed,
                    const ConvolutionPart& part, BFloat16* y)
      : shape_(shape),
        x_(x + part.first_image * shape.height * shape.width * shape.in_channels),
        packed_(packed),
        part_(part),
        y_(y + part.first_image * shape.out_height() * shape.out_width() * shape.out_channels),
        images_(std::min(kImageGroup, shape.images - part.first_image)),
        in_blocks_(shape.in_channels / kChannelBlock),
        inputs_(zeroed_buffer(shape.height * shape.width * in_blocks_ * kPairOfTiles)) {}

  void run() {
    lay_out_inputs();
    settle(inputs_.get());
    settle(packed_);
    const TileScope tiles;
    for (std::int64_t pair = part_.pair_begin; pair < part_.pair_end; ++pair) {
      for (std::int64_t row = 0; row < shape_.out_height(); ++row) {
        for (std::int64_t column = 0; column < shape_.out_width(); ++column) multiply(pair, row, column);
      }
    }
  }

 private:
  // Pairs of tiles [image 16][channel 32] by [pixel][32 channels]; images that are missing stay zero.
  void lay_out_inputs() {
    const std::int64_t image_step = shape_.height * shape_.width * shape_.in_channels;
    BFloat16* to = inputs_.get();
    for (std::int64_t block = 0; block < shape_.height * shape_.width * in_blocks_; ++block) {
      const BFloat16* const from = x_ + block * kChannelBlock;
      for (std::int64_t n = 0; n < images_; ++n) {
        _mm512_store_si512(to + n * kChannelBlock, _mm512_loadu_si512(from + n * image_step));
      }
      to += kPairOfTiles;
    }
  }

  // One output pixel: 32 images x 32 channels in four sums.
  void multiply(std::int64_t pair, std::int64_t row, std::int64_t column) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    const std::int64_t left = column * shape_.stride - shape_.padding;
    const std::int64_t kw_begin = std::max<std::int64_t>(0, -left);
    const std::int64_t kw_end = std::min(shape_.kernel, shape_.width - left);
    for (std::int64_t kh = 0; kh < shape_.kernel; ++kh) {
      const std::int64_t input_row = row * shape_.stride + kh - shape_.padding;
      if (input_row < 0 || input_row >= shape_.height) continue;
      const std::int64_t pixel = input_row * shape_.width + left + kw_begin;
      const std::int64_t tap = (pair * shape_.kernel + kh) * shape_.kernel + kw_begin;
      const BFloat16* a = inputs_.get() + pixel * in_blocks_ * kPairOfTiles;
      const BFloat16* b = packed_ + tap * in_blocks_ * kPairOfTiles;
      for (std::int64_t block = (kw_end - kw_begin) * in_blocks_; block > 0; --block) {
        multiply_pairs(a, b);
        a += kPairOfTiles;
        b += kPairOfTiles;
      }
    }
    store(y_ + (row * shape_.out_width() + column) * shape_.out_channels + pair * kChannelBlock);
  }

  void store(BFloat16* y) {
    alignas(64) float sums[kImageGroup * kChannelBlock];
    constexpr std::int64_t kStep = kChannelBlock * sizeof(float);
    _tile_stored(0, sums, kStep);
    _tile_stored(1, sums + kTileChannels, kStep);
    _tile_stored(2, sums + kTileChannels * kChannelBlock, kStep);
    _tile_stored(3, sums + kTileChannels * kChannelBlock + kTileChannels, kStep);
    const std::int64_t image_step = shape_.out_height() * shape_.out_width() * shape_.out_channels;
    for (std::int64_t n = 0; n < images_; ++n) {
      const float* const from = sums + n * kChannelBlock;
      const auto values = _mm512_cvtne2ps_pbh(_mm512_load_ps(from + kTileChannels), _mm512_load_ps(from));
      _mm512_storeu_si512(y + n * image_step, (__m512i)values);
    }
  }

  const ConvolutionShape shape_;
  const BFloat16* const x_;
  const BFloat16* const packed_;
  const ConvolutionPart part_;
  BFloat16* const y_;
  const std::int64_t images_, in_blocks_;
  const Buffer inputs_;
};

}  // namespace

void pack_weight(const ConvolutionShape& shape, const BFloat16* weight, std::int64_t pair, BFloat16* packed) {
  const std::int64_t taps = shape.kernel * shape.kernel, in_blocks = shape.in_channels / kChannelBlock;
  BFloat16* to = packed_at(packed, pair, taps, in_blocks);
  for (std::int64_t block = 0; block < taps * in_blocks; ++block) {  // [tap][32 channels], as they lie
    for (std::int64_t half = 0; half < 2; ++half, to += kTile) {
      __m512i rows[16];  // of an output channel: 16 pairs of input channels
      const std::int64_t out = pair * kChannelBlock + half * kTileChannels;
      for (std::int64_t o = 0; o < 16; ++o) {
        rows[o] = _mm512_loadu_si512(weight + (out + o) * taps * shape.in_channels + block * kChannelBlock);
      }
      transpose(rows);
      for (std::int64_t i = 0; i < 16; ++i) _mm512_store_si512(to + i * kChannelBlock, rows[i]);
    }
  }
}

// Its output channels are the weight's input channels; its taps run backwards.
void pack_weight_for_input_gradient(const ConvolutionShape& shape, const BFloat16* weight, std::int64_t pair,
                                    BFloat16* packed) {
  const std::int64_t taps = shape.kernel * shape.kernel, in_blocks = shape.out_channels / kChannelBlock;
  const std::int64_t out_step = taps * shape.in_channels;
  BFloat16* to = packed_at(packed, pair, taps, in_blocks);
  for (std::int64_t tap = taps - 1; tap >= 0; --tap) {
    for (std::int64_t block = 0; block < in_blocks; ++block, to += kPairOfTiles) {
      const BFloat16* const from =
          weight + block * kChannelBlock * out_step + tap * shape.in_channels + pair * kChannelBlock;
      lay_out_pairs(from, out_step, kChannelBlock, to);
    }
  }
}

void small_convolution(const ConvolutionShape& shape, const BFloat16* x, const BFloat16* packed_weight,
                       const ConvolutionPart& part, BFloat16* y) {
  PartOfConvolution(shape, x, packed_weight, part, y).run();
}

}  // namespace rn::kernels
