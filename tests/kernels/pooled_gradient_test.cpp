#include "kernels/pooled_gradient.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "convolution_testing.h"
#include "kernels/cpu_features.h"
#include "kernels/float_convolution.h"

namespace rn::kernels {
namespace {

// What a pooled convolution leaves, drawn at random: every value with a gradient, some of them cut by the
// relu.
struct Case {
  explicit Case(const ConvolutionShape& shape, unsigned seed) : s(shape) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    const auto fill = [&](std::vector<float>& values, std::int64_t size) {
      values.resize(static_cast<std::size_t>(size));
      for (auto& value : values) value = normal(engine);
    };
    fill(x, s.images * s.height * s.width * s.in_channels);
    fill(weight, s.out_channels * s.kernel * s.kernel * s.in_channels);
    fill(dy, s.images * (s.out_height() / 2) * (s.out_width() / 2) * s.out_channels);
    taken.resize(dy.size());
    for (auto& from : taken) from = static_cast<std::uint8_t>(engine() % 5);
  }

  // The gradient of every sum: dy where it was taken from, else zero.
  std::vector<float> dense() const {
    std::vector<float> sums(
        static_cast<std::size_t>(s.images * s.out_height() * s.out_width() * s.out_channels));
    for (std::size_t i = 0; i < dy.size(); ++i) {
      if (taken[i] == kCutByRelu) continue;
      const auto at = static_cast<std::int64_t>(i);
      const std::int64_t height = s.out_height() / 2, width = s.out_width() / 2;
      const std::int64_t o = at % s.out_channels, w = at / s.out_channels % width,
                         h = at / s.out_channels / width % height, n = at / s.out_channels / width / height;
      const std::int64_t row = n * s.out_height() + 2 * h + taken[i] / 2, column = 2 * w + taken[i] % 2;
      sums[static_cast<std::size_t>((row * s.out_width() + column) * s.out_channels + o)] = dy[i];
    }
    return sums;
  }

  const ConvolutionShape s;
  std::vector<float> x, weight, dy;
  std::vector<std::uint8_t> taken;
};

// A sum in double beside the sum of the terms' magnitudes, to which rounding is relative.
struct Sums {
  explicit Sums(std::size_t size) : value(size), magnitude(size) {}
  void add(std::int64_t at, double a, double b) {
    value[static_cast<std::size_t>(at)] += a * b;
    magnitude[static_cast<std::size_t>(at)] += std::abs(a * b);
  }
  std::vector<double> value, magnitude;
};

// At most some thousand terms in float32: 2^-18 of their magnitudes is far above the rounding of their sum,
// and far below a wrong or missing term.
void expect_near(const std::vector<float>& actual, const Sums& exact) {
  ASSERT_EQ(actual.size(), exact.value.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], exact.value[i], 0x1p-18 * exact.magnitude[i]) << "element " << i;
  }
}

class PooledGradientTest : public testing::TestWithParam<ConvolutionShape> {
 protected:
  void SetUp() override {
    if (!avx512_available()) GTEST_SKIP() << "this CPU has no AVX-512";
    ASSERT_TRUE(pooled_weight_gradient_pays(GetParam()));
  }

  static std::vector<float> weight_gradient(const Case& c, std::int64_t part) {
    std::vector<float> dw(c.weight.size(), 77);
    for (std::int64_t o = 0; o < c.s.out_channels; o += part) {
      pooled_weight_gradient(c.s, c.x.data(), c.dy.data(), c.taken.data(), o,
                             std::min(c.s.out_channels, o + part), dw.data());
    }
    return dw;
  }
  static std::vector<float> input_gradient(const Case& c, std::int64_t part) {
    std::vector<float> dx(c.x.size(), 77);
    for (std::int64_t n = 0; n < c.s.images; n += part) {
      pooled_input_gradient(c.s, c.weight.data(), c.dy.data(), c.taken.data(), n,
                            std::min(c.s.images, n + part), dx.data());
    }
    return dx;
  }
};

// images, height, width, in, out, kernel, stride, padding
INSTANTIATE_TEST_SUITE_P(
    Shapes, PooledGradientTest,
    testing::Values(ConvolutionShape{2, 32, 32, 3, 6, 5, 1, 0},   // lenet's
                    ConvolutionShape{3, 14, 14, 6, 16, 5, 1, 0},  //
                    ConvolutionShape{2, 9, 12, 3, 20, 4, 1, 0},   // odd, and wider than high
                    ConvolutionShape{1, 3, 3, 1, 1, 2, 1, 0},     // one pooled pixel
                    ConvolutionShape{2, 7, 6, 8, 33, 2, 1, 0},    // whole vectors of taps
                    ConvolutionShape{1, 6, 7, 32, 17, 1, 1, 0}, ConvolutionShape{2, 11, 10, 10, 5, 3, 1, 0},
                    ConvolutionShape{2, 12, 12, 32, 40, 3, 1, 0},  // pfl_cnn's, smaller
                    ConvolutionShape{1, 9, 8, 24, 7, 2, 1, 0}, ConvolutionShape{1, 8, 8, 12, 3, 5, 1, 0}));

TEST_P(PooledGradientTest, IsThatOfTheDenseSums) {
  const Case c(GetParam(), 3);
  const auto& s = c.s;
  const auto sums = c.dense();
  Sums dw(c.weight.size()), dx(c.x.size()), bias(static_cast<std::size_t>(s.images * s.out_channels));
  for_products(s, [&](auto n, auto h, auto w, auto kh, auto kw, auto row, auto column) {
    const std::int64_t out = ((n * s.out_height() + h) * s.out_width() + w) * s.out_channels;
    const std::int64_t in = ((n * s.height + row) * s.width + column) * s.in_channels;
    for (std::int64_t o = 0; o < s.out_channels; ++o) {
      const double gradient = sums[static_cast<std::size_t>(out + o)];
      if (kh == 0 && kw == 0) bias.add(n * s.out_channels + o, gradient, 1);
      const std::int64_t tap = ((o * s.kernel + kh) * s.kernel + kw) * s.in_channels;
      for (std::int64_t i = 0; i < s.in_channels; ++i) {
        dw.add(tap + i, gradient, c.x[static_cast<std::size_t>(in + i)]);
        dx.add(in + i, gradient, c.weight[static_cast<std::size_t>(tap + i)]);
      }
    }
  });
  expect_near(weight_gradient(c, s.out_channels), dw);
  if (pooled_input_gradient_pays(s)) expect_near(input_gradient(c, s.images), dx);
  std::vector<float> by_image(bias.value.size(), 77);
  pooled_bias_gradient(s, c.dy.data(), c.taken.data(), 0, s.images, by_image.data());
  expect_near(by_image, bias);
}

TEST_P(PooledGradientTest, HasTheSameBitsInAnyParts) {
  const Case c(GetParam(), 4);
  EXPECT_EQ(weight_gradient(c, 1), weight_gradient(c, c.s.out_channels));
  if (!pooled_input_gradient_pays(c.s)) return;
  EXPECT_EQ(input_gradient(c, 1), input_gradient(c, c.s.images));
}

TEST(PooledGradientShapeTest, LeavesWhatItIsNotMadeForToTheDenseGradients) {
  EXPECT_FALSE(pooled_weight_gradient_pays({1, 8, 8, 3, 4, 3, 1, 1}));   // padding
  EXPECT_FALSE(pooled_weight_gradient_pays({1, 8, 8, 3, 4, 3, 2, 0}));   // stride
  EXPECT_FALSE(pooled_weight_gradient_pays({1, 8, 8, 33, 4, 3, 1, 0}));  // 99 taps in a row
  EXPECT_FALSE(pooled_weight_gradient_pays({1, 8, 8, 16, 4, 5, 1, 0}));  // 25 vectors of weights
  EXPECT_FALSE(pooled_weight_gradient_pays({1, 8, 8, 3, 4, 6, 1, 0}));   // six rows
  EXPECT_FALSE(pooled_weight_gradient_pays({1, 3, 8, 3, 4, 3, 1, 0}));   // nothing is left by the maximum
  EXPECT_FALSE(pooled_input_gradient_pays({1, 8, 8, 11, 4, 3, 1, 0}));   // 33 taps in a row
  EXPECT_TRUE(pooled_input_gradient_pays({1, 8, 8, 10, 4, 3, 1, 0}));
}

}  // namespace
}  // namespace rn::kernels
