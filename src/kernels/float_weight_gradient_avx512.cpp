// The weight's gradient of float_convolution.h. REQUIRES: avx512_available().
#include "kernels/float_convolution.h"
#include "kernels/float_weight_patch.h"
#include "kernels/float_winograd.h"

namespace rn::kernels {

void float_weight_gradient(const ConvolutionShape& s, const float* x, const float* dy, std::int64_t begin,
                           std::int64_t end, float* dw) {
  if (winograd_supports(s)) {
    winograd_weight_gradient(s, x, dy, begin, end, dw);
    return;
  }
  Frames frames(s, x);
  const std::int64_t height = s.out_height(), width = s.out_width();
  WeightPatch t{};
  t.width = width;
  t.x_image = frames.image_step();
  t.x_row = s.stride * frames.row_step();
  t.x_column = s.stride * s.in_channels;
  t.dy_column = s.out_channels;
  t.dy_row = width * s.out_channels;
  t.dy_image = height * t.dy_row;
  t.dw_output = s.kernel * s.kernel * s.in_channels;
  t.dw = dw;
  if (s.images == 0) {
    std::memset(dw + begin * t.dw_output, 0,
                static_cast<std::size_t>((end - begin) * t.dw_output) * sizeof(float));
    return;
  }
  // dw is read and written once per band: of a large image a few rows, which with their dy stay in the
  // first-level cache while all taps meet them, of small ones as many as there are frames.
  constexpr std::int64_t kBandPixels = 128;
  const std::int64_t rows = frames.capacity() > 1 && height * width <= kBandPixels
                                ? height
                                : std::clamp<std::int64_t>(kBandPixels / width, 1, height);
  for (std::int64_t first = 0; first < s.images; first += frames.capacity()) {
    const std::int64_t count = std::min(frames.capacity(), s.images - first);
    const float* const placed = frames.place(first, count);
    const std::int64_t together = rows == height ? count : 1;
    for (std::int64_t n = 0; n < count; n += together) {
      for (std::int64_t h = 0; h < height; h += rows) {
        t.images = together;
        t.height = std::min(rows, height - h);
        t.x = placed + n * t.x_image + h * t.x_row;
        t.dy = dy + (first + n) * t.dy_image + h * t.dy_row;
        sum_all_patches(s, t, frames.row_step(), begin, end);
        t.adds = true;
      }
    }
  }
}

}  // namespace rn::kernels
