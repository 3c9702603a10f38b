// The tile products of weight_gradient.h.
#include <algorithm>
#include <cstdint>

#include "kernels/tiles.h"
#include "kernels/weight_gradient.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kBandPixels = 64;  // output pixels, over rows and groups of images, laid out at a time

// One block of the weight, band after band.
class BlockGradient {
 public:
  BlockGradient(const ConvolutionShape& shape, const BFloat16* x, const BFloat16* dy,
                const WeightBlock& block, float* dw)
      : shape_(shape),
        x_(x),
        dy_(dy),
        block_(block),
        dw_(dw),
        groups_((shape.images + kImageGroup - 1) / kImageGroup),
        rows_(std::clamp<std::int64_t>(kBandPixels / shape.out_width(), 1, shape.out_height())),
        band_groups_(std::clamp<std::int64_t>(kBandPixels / (rows_ * shape.out_width()), 1, groups_)),
        ring_((rows_ - 1) * shape.stride + shape.kernel),
        padded_width_(shape.width + 2 * shape.padding),
        out_pairs_((block.out_end - block.out_begin) / kChannelBlock),
        in_pairs_((block.in_end - block.in_begin) / kChannelBlock),
        outputs_(zeroed_buffer(out_pairs_ * band_groups_ * rows_ * shape.out_width() * kPairOfTiles)),
        inputs_(zeroed_buffer(in_pairs_ * band_groups_ * ring_ * padded_width_ * kPairOfTiles)) {}

  void run() {
    const TileScope tiles;
    for (std::int64_t group = 0; group < groups_; group += band_groups_) {
      std::int64_t next_input_row = 0;
      for (std::int64_t row = 0; row < shape_.out_height(); row += rows_) {
        const Band band{group, std::min(band_groups_, groups_ - group), row,
                        std::min(rows_, shape_.out_height() - row)};
        lay_out_outputs(band);
        next_input_row = lay_out_inputs(band, next_input_row);
        settle(inputs_.get());
        settle(outputs_.get());
        multiply(band);
      }
    }
  }

 private:
  struct Band {
    std::int64_t first_group, groups;  // of 32 images
    std::int64_t first_row, rows;      // of the output
    bool is_first() const { return first_group == 0 && first_row == 0; }
  };

  std::int64_t images_of(std::int64_t group) const {
    return std::min(kImageGroup, shape_.images - group * kImageGroup);
  }

  // Laid-out dy [channel pair][group][row][pixel] and x [channel pair][group][row of the ring][padded pixel],
  // both of pairs of tiles. The ring holds the input rows of a band; the pixels at its sides stay zero.
  BFloat16* output_at(std::int64_t pair, std::int64_t group, std::int64_t row) const {
    return outputs_.get() + ((pair * band_groups_ + group) * rows_ + row) * shape_.out_width() * kPairOfTiles;
  }
  BFloat16* input_at(std::int64_t pair, std::int64_t group, std::int64_t row) const {
    return inputs_.get() +
           ((pair * band_groups_ + group) * ring_ + row % ring_) * padded_width_ * kPairOfTiles;
  }

  void lay_out_outputs(const Band& band) {
    const std::int64_t width = shape_.out_width(), channels = shape_.out_channels;
    const std::int64_t image_step = shape_.out_height() * width * channels;
    for (std::int64_t group = 0; group < band.groups; ++group) {
      const std::int64_t n = band.first_group + group;
      for (std::int64_t row = 0; row < band.rows; ++row) {
        const BFloat16* const source =
            dy_ + n * kImageGroup * image_step + (band.first_row + row) * width * channels + block_.out_begin;
        for (std::int64_t pixel = 0; pixel < width; ++pixel) {
          for (std::int64_t pair = 0; pair < out_pairs_; ++pair) {
            lay_out_transposed(source + pixel * channels + pair * kChannelBlock, image_step, images_of(n),
                               output_at(pair, group, row) + pixel * kPairOfTiles);
          }
        }
      }
    }
  }

  // The input rows that the band needs and the one before it had not; returns the first row that is left.
  std::int64_t lay_out_inputs(const Band& band, std::int64_t row) {
    const std::int64_t width = shape_.width, channels = shape_.in_channels;
    const std::int64_t image_step = shape_.height * width * channels;
    const std::int64_t last_output = band.first_row + band.rows - 1;
    const std::int64_t end =
        std::min(last_output * shape_.stride + shape_.kernel - shape_.padding, shape_.height);
    for (; row < end; ++row) {
      for (std::int64_t group = 0; group < band.groups; ++group) {
        const std::int64_t n = band.first_group + group;
        const BFloat16* const source =
            x_ + n * kImageGroup * image_step + row * width * channels + block_.in_begin;
        for (std::int64_t pixel = 0; pixel < width; ++pixel) {
          for (std::int64_t pair = 0; pair < in_pairs_; ++pair) {
            lay_out_pairs(source + pixel * channels + pair * kChannelBlock, image_step, images_of(n),
                          input_at(pair, group, row) + (pixel + shape_.padding) * kPairOfTiles);
          }
        }
      }
    }
    return std::max(row, end);
  }

  void multiply(const Band& band) {
    for (std::int64_t out = 0; out < out_pairs_; ++out) {
      for (std::int64_t in = 0; in < in_pairs_; ++in) {
        for (std::int64_t kh = 0; kh < shape_.kernel; ++kh) {
          if (shape_.kernel == 3) {
            multiply_three_taps(band, out, 0, in, kh);
            multiply_three_taps(band, out, 1, in, kh);
          } else {
            multiply_one_tap(band, out, in, kh);
          }
        }
      }
    }
  }

  // Calls body(laid-out dy, laid-out x) for every row of the band whose tap kh lies inside of the image.
  template <class Body>
  void for_rows(const Band& band, std::int64_t out, std::int64_t in, std::int64_t kh, const Body& body) {
    for (std::int64_t group = 0; group < band.groups; ++group) {
      for (std::int64_t row = 0; row < band.rows; ++row) {
        const std::int64_t input_row = (band.first_row + row) * shape_.stride + kh - shape_.padding;
        if (input_row < 0 || input_row >= shape_.height) continue;
        body(output_at(out, group, row), input_at(in, group, input_row));
      }
    }
  }

  float* weight_at(std::int64_t out, std::int64_t in, std::int64_t tap) const {
    return dw_ + ((block_.out_begin + out) * shape_.kernel * shape_.kernel + tap) * shape_.in_channels +
           block_.in_begin + in;
  }

  // 16 output channels, 32 input channels, a row of three taps: six sums. A pixel of x is loaded for three
  // output pixels, the last two times out of the first-level cache, so that the multiplier waits for loads
  // least.
  void multiply_three_taps(const Band& band, std::int64_t out, std::int64_t half, std::int64_t in,
                           std::int64_t kh) {
    const std::int64_t next = shape_.in_channels;  // tap
    const std::int64_t step = 9 * shape_.in_channels * static_cast<std::int64_t>(sizeof(float));
    float* const dw = weight_at(out * kChannelBlock + half * kTileChannels, in * kChannelBlock, 3 * kh);
    if (band.is_first()) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      _tile_zero(4);
      _tile_zero(5);
    } else {
      _tile_loadd(0, dw, step);
      _tile_loadd(1, dw + 16, step);
      _tile_loadd(2, dw + next, step);
      _tile_loadd(3, dw + next + 16, step);
      _tile_loadd(4, dw + 2 * next, step);
      _tile_loadd(5, dw + 2 * next + 16, step);
    }
    for_rows(band, out, in, kh, [&](const BFloat16* a, const BFloat16* b) {
      a += half * kTile;
      for (std::int64_t pixel = 0; pixel < shape_.out_width(); ++pixel) {
        _tile_loadd(6, a, kTileBytes);
        _tile_loadd(7, b, kTileBytes);
        _tile_dpbf16ps(0, 6, 7);
        _tile_loadd(7, b + kTile, kTileBytes);
        _tile_dpbf16ps(1, 6, 7);
        _tile_loadd(7, b + 2 * kTile, kTileBytes);
        _tile_dpbf16ps(2, 6, 7);
        _tile_loadd(7, b + 3 * kTile, kTileBytes);
        _tile_dpbf16ps(3, 6, 7);
        _tile_loadd(7, b + 4 * kTile, kTileBytes);
        _tile_dpbf16ps(4, 6, 7);
        _tile_loadd(7, b + 5 * kTile, kTileBytes);
        _tile_dpbf16ps(5, 6, 7);
        a += kPairOfTiles;
        b += shape_.stride * kPairOfTiles;
      }
    });
    _tile_stored(0, dw, step);
    _tile_stored(1, dw + 16, step);
    _tile_stored(2, dw + next, step);
    _tile_stored(3, dw + next + 16, step);
    _tile_stored(4, dw + 2 * next, step);
    _tile_stored(5, dw + 2 * next + 16, step);
  }

  // 32 output and 32 input channels of a 1x1 kernel: four sums.
  void multiply_one_tap(const Band& band, std::int64_t out, std::int64_t in, std::int64_t kh) {
    const std::int64_t step = shape_.in_channels * static_cast<std::int64_t>(sizeof(float));
    float* const dw = weight_at(out * kChannelBlock, in * kChannelBlock, 0);
    float* const below = dw + kTileChannels * shape_.in_channels;
    if (band.is_first()) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    } else {
      _tile_loadd(0, dw, step);
      _tile_loadd(1, dw + 16, step);
      _tile_loadd(2, below, step);
      _tile_loadd(3, below + 16, step);
    }
    for_rows(band, out, in, kh, [&](const BFloat16* a, const BFloat16* b) {
      for (std::int64_t pixel = 0; pixel < shape_.out_width(); ++pixel) {
        multiply_pairs(a, b);
        a += kPairOfTiles;
        b += shape_.stride * kPairOfTiles;
      }
    });
    _tile_stored(0, dw, step);
    _tile_stored(1, dw + 16, step);
    _tile_stored(2, below, step);
    _tile_stored(3, below + 16, step);
  }

  const ConvolutionShape shape_;
  const BFloat16* const x_;
  const BFloat16* const dy_;
  const WeightBlock block_;
  float* const dw_;
  const std::int64_t groups_, rows_, band_groups_, ring_, padded_width_, out_pairs_, in_pairs_;
  const Buffer outputs_, inputs_;
};

}  // namespace

void weight_gradient(const ConvolutionShape& shape, const BFloat16* x, const BFloat16* dy,
                     const WeightBlock& block, float* dw) {
  BlockGradient(shape, x, dy, block, dw).run();
}

}  // namespace rn::kernels
