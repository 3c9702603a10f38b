// What the tests of the convolution kernels share.
#pragma once

#include <ostream>
#include <random>
#include <vector>

#include "core/bfloat16.h"
#include "kernels/convolution_shape.h"

namespace rn::kernels {

inline void PrintTo(const ConvolutionShape& s, std::ostream* out) {
  *out << s.images << " images " << s.height << "x" << s.width << ", " << s.in_channels << " to "
       << s.out_channels << " channels, kernel " << s.kernel << ", stride " << s.stride << ", padding "
       << s.padding;
}

inline std::vector<BFloat16> random_values(std::int64_t size, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<BFloat16> values(static_cast<std::size_t>(size));
  for (auto& value : values) value = to_bfloat16(normal(engine));
  return values;
}

// body(image, output row, output column, kh, kw, input row, input column) for every product of the
// definition.
template <class Body>
void for_products(const ConvolutionShape& s, const Body& body) {
  for (std::int64_t n = 0; n < s.images; ++n) {
    for (std::int64_t h = 0; h < s.out_height(); ++h) {
      for (std::int64_t w = 0; w < s.out_width(); ++w) {
        for (std::int64_t kh = 0; kh < s.kernel; ++kh) {
          for (std::int64_t kw = 0; kw < s.kernel; ++kw) {
            const std::int64_t row = h * s.stride + kh - s.padding, column = w * s.stride + kw - s.padding;
            if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
            body(n, h, w, kh, kw, row, column);
          }
        }
      }
    }
  }
}

}  // namespace rn::kernels
