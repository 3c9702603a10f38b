#include "kernels/float_convolution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <new>

#include "convolution_testing.h"
#include "core/error.h"
#include "kernels/cpu_features.h"

namespace rn::kernels {
namespace {

std::vector<float> random_floats(std::int64_t size, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<std::size_t>(size));
  for (auto& value : values) value = normal(engine);
  return values;
}

// As pack_float_weight asks for; of exactly the size, so that a sanitizer sees what reads beyond it.
class Packed {
 public:
  explicit Packed(std::int64_t size)
      : data_(static_cast<float*>(
            ::operator new(static_cast<std::size_t>(size) * sizeof(float), std::align_val_t(64)))) {}
  ~Packed() { ::operator delete(data_, std::align_val_t(64)); }
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;
  float* data() const { return data_; }

 private:
  float* const data_;
};

std::int64_t outputs(const ConvolutionShape& s) {
  return s.images * s.out_height() * s.out_width() * s.out_channels;
}
std::int64_t weights(const ConvolutionShape& s) {
  return s.out_channels * s.kernel * s.kernel * s.in_channels;
}
std::int64_t inputs(const ConvolutionShape& s) { return s.images * s.height * s.width * s.in_channels; }

// What is computed, beside the sum of the terms' magnitudes: rounding is relative to that.
struct Exact {
  explicit Exact(std::int64_t size)
      : value(static_cast<std::size_t>(size)), magnitude(static_cast<std::size_t>(size)) {}
  void add(std::int64_t at, double a, double b) {
    value[static_cast<std::size_t>(at)] += a * b;
    magnitude[static_cast<std::size_t>(at)] += std::abs(a * b);
  }
  std::vector<double> value, magnitude;
};

// body(output, weight, input) with indices for every product.
template <class Body>
void for_every_product(const ConvolutionShape& s, const Body& body) {
  for_products(s, [&](auto n, auto h, auto w, auto kh, auto kw, auto row, auto column) {
    const std::int64_t out = ((n * s.out_height() + h) * s.out_width() + w) * s.out_channels;
    const std::int64_t in = ((n * s.height + row) * s.width + column) * s.in_channels;
    for (std::int64_t o = 0; o < s.out_channels; ++o) {
      const std::int64_t tap = ((o * s.kernel + kh) * s.kernel + kw) * s.in_channels;
      for (std::int64_t i = 0; i < s.in_channels; ++i) body(out + o, tap + i, in + i);
    }
  });
}

// Float32 sums of at most some thousand terms, in blocks: 2^-18 of the terms' magnitudes is far above what
// they err by, and far below what a wrong or missing term does.
void expect_near(const std::vector<float>& actual, const Exact& exact) {
  ASSERT_EQ(actual.size(), exact.value.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], exact.value[i], 0x1p-18 * exact.magnitude[i]) << "element " << i;
  }
}

class FloatConvolutionTest : public testing::TestWithParam<ConvolutionShape> {
 protected:
  void SetUp() override {
    if (!avx512_available()) GTEST_SKIP() << "this CPU has no AVX-512";
  }

  // y, in parts of `part` images.
  std::vector<float> convolve(const ConvolutionShape& s, const std::vector<float>& x, const float* packed,
                              const float* bias, FloatActivation activation, std::vector<std::uint8_t>* taken,
                              std::int64_t part) const {
    const bool pools = activation == FloatActivation::kMaxPool;
    const std::int64_t size =
        pools ? s.images * (s.out_height() / 2) * (s.out_width() / 2) * s.out_channels : outputs(s);
    std::vector<float> y(static_cast<std::size_t>(size), 77);
    if (taken != nullptr) taken->assign(y.size(), 99);
    for (std::int64_t n = 0; n < s.images; n += part) {
      float_convolution(s, x.data(), packed, bias, activation, n, std::min(s.images, n + part), y.data(),
                        taken == nullptr ? nullptr : taken->data());
    }
    return y;
  }

  std::vector<float> convolve(const ConvolutionShape& s, FloatActivation activation,
                              std::vector<std::uint8_t>* taken = nullptr, std::int64_t part = 1000) const {
    const auto x = random_floats(inputs(s), 1), weight = random_floats(weights(s), 2),
               bias = random_floats(s.out_channels, 3);
    const Packed packed(packed_float_weight_size(s));
    pack_float_weight(s, weight.data(), packed.data());
    return convolve(s, x, packed.data(), bias.data(), activation, taken, part);
  }

  std::vector<float> weight_gradient(const ConvolutionShape& s, std::int64_t part) const {
    const auto x = random_floats(inputs(s), 4), dy = random_floats(outputs(s), 5);
    std::vector<float> dw(static_cast<std::size_t>(weights(s)), 77);
    for (std::int64_t o = 0; o < s.out_channels; o += part) {
      float_weight_gradient(s, x.data(), dy.data(), o, std::min(s.out_channels, o + part), dw.data());
    }
    return dw;
  }
};

// images, height, width, in, out, kernel, stride, padding
INSTANTIATE_TEST_SUITE_P(
    Shapes, FloatConvolutionTest,
    testing::Values(ConvolutionShape{3, 12, 12, 3, 32, 3, 1, 0},   // pfl_cnn's first, smaller
                    ConvolutionShape{2, 17, 17, 32, 64, 3, 1, 0},  // odd outputs, two blocks of channels
                    ConvolutionShape{2, 32, 32, 3, 6, 5, 1, 0},    // lenet's: less than a vector
                    ConvolutionShape{2, 14, 14, 6, 16, 5, 1, 0},   //
                    ConvolutionShape{1, 7, 9, 20, 37, 3, 2, 1},    // nothing is whole; stride
                    ConvolutionShape{40, 4, 4, 48, 40, 3, 1, 1},   // two rows together, many frames
                    ConvolutionShape{5, 5, 3, 16, 17, 1, 1, 0},    // 1x1
                    ConvolutionShape{2, 1, 1, 8, 8, 3, 1, 1},      // the middle tap only
                    ConvolutionShape{1, 40, 36, 96, 8, 3, 1, 1},   // an image larger than the frames
                    ConvolutionShape{3, 9, 10, 5, 7, 3, 1, 1},     // pairs of pixels, padded
                    ConvolutionShape{3, 9, 11, 7, 5, 3, 1, 1},     // an odd width has none
                    ConvolutionShape{2, 6, 8, 4, 8, 1, 1, 0},      // of 1x1
                    // By Winograd's filtering: pfl_cnn's second, smaller; more tiles than are taken together.
                    ConvolutionShape{2, 14, 14, 32, 64, 3, 1, 0},
                    ConvolutionShape{9, 16, 12, 16, 48, 3, 1, 1}, ConvolutionShape{40, 4, 4, 64, 32, 3, 1, 1},
                    ConvolutionShape{1, 34, 42, 80, 16, 3, 1, 2}));

TEST_P(FloatConvolutionTest, EqualsItsDefinition) {
  const auto& s = GetParam();
  ASSERT_TRUE(float_convolution_supports(s));
  const auto x = random_floats(inputs(s), 1), weight = random_floats(weights(s), 2),
             bias = random_floats(s.out_channels, 3);
  Exact exact(outputs(s));
  for (std::int64_t i = 0; i < outputs(s); ++i) {
    exact.add(i, bias[static_cast<std::size_t>(i % s.out_channels)], 1);
  }
  for_every_product(s, [&](auto out, auto tap, auto in) {
    exact.add(out, weight[static_cast<std::size_t>(tap)], x[static_cast<std::size_t>(in)]);
  });
  expect_near(convolve(s, FloatActivation::kNone), exact);
}

TEST_P(FloatConvolutionTest, ComputesTheInputsGradient) {
  const auto& s = GetParam();
  if (s.stride != 1) {
    EXPECT_THROW(input_gradient_shape(s), InternalError);
    return;
  }
  const auto dy = random_floats(outputs(s), 3), weight = random_floats(weights(s), 4);
  Exact exact(inputs(s));
  for_every_product(s, [&](auto out, auto tap, auto in) {
    exact.add(in, weight[static_cast<std::size_t>(tap)], dy[static_cast<std::size_t>(out)]);
  });
  const auto transposed = input_gradient_shape(s);
  const Packed packed(packed_float_weight_size(transposed));
  pack_float_weight_for_input_gradient(s, weight.data(), packed.data());
  expect_near(convolve(transposed, dy, packed.data(), nullptr, FloatActivation::kNone, nullptr, 1000), exact);
}

TEST_P(FloatConvolutionTest, ComputesTheWeightsGradient) {
  const auto& s = GetParam();
  const auto x = random_floats(inputs(s), 4), dy = random_floats(outputs(s), 5);
  Exact exact(weights(s));
  for_every_product(s, [&](auto out, auto tap, auto in) {
    exact.add(tap, dy[static_cast<std::size_t>(out)], x[static_cast<std::size_t>(in)]);
  });
  expect_near(weight_gradient(s, 1000), exact);
}

TEST_P(FloatConvolutionTest, IsTheSameHoweverTheWorkIsCut) {
  const auto& s = GetParam();
  for (const auto activation : {FloatActivation::kNone, FloatActivation::kMaxPool}) {
    EXPECT_EQ(convolve(s, activation, nullptr, 1), convolve(s, activation));
  }
  EXPECT_EQ(weight_gradient(s, kOutputsTogether), weight_gradient(s, 1000));
}

TEST_P(FloatConvolutionTest, CutsAndPoolsWhatItComputes) {
  const auto& s = GetParam();
  const auto sums = convolve(s, FloatActivation::kNone), relu = convolve(s, FloatActivation::kRelu);
  for (std::size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(relu[i], std::max(sums[i], 0.0F)) << i;
  std::vector<std::uint8_t> taken;
  const auto pooled = convolve(s, FloatActivation::kMaxPool, &taken);
  std::size_t i = 0;
  for (std::int64_t n = 0; n < s.images; ++n) {
    for (std::int64_t h = 0; h + 1 < s.out_height(); h += 2) {
      for (std::int64_t w = 0; w + 1 < s.out_width(); w += 2) {
        for (std::int64_t o = 0; o < s.out_channels; ++o, ++i) {
          std::uint8_t from = kCutByRelu;
          float largest = 0;
          for (const int place : {0, 1, 2, 3}) {
            const std::int64_t row = n * s.out_height() + h + place / 2, column = w + place % 2;
            const float sum =
                sums[static_cast<std::size_t>((row * s.out_width() + column) * s.out_channels + o)];
            if (sum > largest) {
              largest = sum;
              from = static_cast<std::uint8_t>(place);
            }
          }
          ASSERT_EQ(pooled[i], largest) << i;
          ASSERT_EQ(taken[i], from) << i;
        }
      }
    }
  }
  EXPECT_EQ(i, pooled.size());
}

TEST_P(FloatConvolutionTest, GivesTheGradientToWhatWasTaken) {
  const auto& s = GetParam();
  const auto y = convolve(s, FloatActivation::kRelu);
  const auto dy = random_floats(outputs(s), 6);
  std::vector<float> dsums(y.size(), 77), bias(static_cast<std::size_t>(s.images * s.out_channels), 77);
  float_activation_gradient(s, FloatActivation::kRelu, dy.data(), y.data(), nullptr, 0, s.images,
                            dsums.data(), bias.data());
  Exact bias_exact(s.images * s.out_channels);
  const auto of_image = [&](std::size_t i) {
    const auto at = static_cast<std::int64_t>(i);
    return at / (s.out_height() * s.out_width() * s.out_channels) * s.out_channels + at % s.out_channels;
  };
  for (std::size_t i = 0; i < y.size(); ++i) {
    ASSERT_EQ(dsums[i], y[i] > 0 ? dy[i] : 0) << i;
    bias_exact.add(of_image(i), dsums[i], 1);
  }
  expect_near(bias, bias_exact);

  std::vector<std::uint8_t> taken;
  const auto pooled = convolve(s, FloatActivation::kMaxPool, &taken);
  std::vector<float> expected(y.size());
  const std::int64_t height = s.out_height() / 2, width = s.out_width() / 2;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (taken[i] == kCutByRelu) continue;
    const auto at = static_cast<std::int64_t>(i);
    const std::int64_t o = at % s.out_channels, w = at / s.out_channels % width,
                       h = at / s.out_channels / width % height, n = at / s.out_channels / width / height;
    const std::int64_t row = n * s.out_height() + 2 * h + taken[i] / 2, column = 2 * w + taken[i] % 2;
    expected[static_cast<std::size_t>((row * s.out_width() + column) * s.out_channels + o)] = dy[i];
  }
  std::fill(dsums.begin(), dsums.end(), 77.0F);
  float_activation_gradient(s, FloatActivation::kMaxPool, dy.data(), nullptr, taken.data(), 0, s.images,
                            dsums.data(), bias.data());
  EXPECT_EQ(dsums, expected);
  Exact pooled_bias(s.images * s.out_channels);
  for (std::size_t i = 0; i < expected.size(); ++i) pooled_bias.add(of_image(i), expected[i], 1);
  expect_near(bias, pooled_bias);
}

TEST_P(FloatConvolutionTest, PassesOnWhatIsNotANumber) {
  const auto& s = GetParam();
  auto x = random_floats(inputs(s), 1);
  std::fill(x.begin(), x.end(), std::numeric_limits<float>::quiet_NaN());
  const auto weight = random_floats(weights(s), 2);
  const Packed packed(packed_float_weight_size(s));
  pack_float_weight(s, weight.data(), packed.data());
  for (const auto activation : {FloatActivation::kNone, FloatActivation::kRelu, FloatActivation::kMaxPool}) {
    for (const float value : convolve(s, x, packed.data(), nullptr, activation, nullptr, 1000)) {
      ASSERT_TRUE(std::isnan(value));
    }
  }
}

TEST(FloatConvolutionShapeTest, WithoutImagesTheWeightsGradientIsZero) {
  if (!avx512_available()) GTEST_SKIP() << "this CPU has no AVX-512";
  const ConvolutionShape s{0, 8, 8, 3, 5, 3, 1, 1};
  std::vector<float> dw(static_cast<std::size_t>(weights(s)), 77);
  float_weight_gradient(s, nullptr, nullptr, 0, 5, dw.data());
  EXPECT_EQ(dw, std::vector<float>(dw.size()));
}

TEST(FloatConvolutionShapeTest, RefusesShapesWithoutOutputs) {
  EXPECT_FALSE(float_convolution_supports({1, 4, 4, 3, 8, 5, 1, 0}));
  EXPECT_FALSE(float_convolution_supports({1, 4, 4, 3, 8, 3, 1, 3}));  // padding as wide as the kernel
  EXPECT_FALSE(float_convolution_supports({1, 4, 4, 0, 8, 3, 1, 1}));
}

}  // namespace
}  // namespace rn::kernels
