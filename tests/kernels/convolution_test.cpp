#include "kernels/convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <new>

#include "convolution_testing.h"
#include "core/error.h"
#include "kernels/cpu_features.h"

namespace rn::kernels {
namespace {

// As pack_weight asks for.
class Packed {
 public:
  explicit Packed(std::size_t size)
      : data_(static_cast<BFloat16*>(::operator new(size * sizeof(BFloat16), std::align_val_t(64)))) {}
  ~Packed() { ::operator delete(data_, std::align_val_t(64)); }
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;
  BFloat16* data() const { return data_; }

 private:
  BFloat16* const data_;
};

using Pack = void(const ConvolutionShape&, const BFloat16*, std::int64_t, BFloat16*);

// `shape`: of the convolution that is run; `weight_shape`: of the one that the weight belongs to.
std::vector<BFloat16> by_kernel(const ConvolutionShape& shape, const std::vector<BFloat16>& x,
                                const ConvolutionShape& weight_shape, const std::vector<BFloat16>& weight,
                                Pack* pack, int threads) {
  const Packed packed(weight.size());
  for (std::int64_t pair = 0; pair < shape.out_channels / 32; ++pair) {
    pack(weight_shape, weight.data(), pair, packed.data());
  }
  std::vector<BFloat16> y(
      static_cast<std::size_t>(shape.images * shape.out_height() * shape.out_width() * shape.out_channels),
      to_bfloat16(77));
  const ConvolutionParts parts(shape, threads);
  for (std::int64_t i = 0; i < parts.size(); ++i) {
    small_convolution(shape, x.data(), packed.data(), parts[i], y.data());
  }
  return y;
}

// Rounded to bf16 once: half a unit in the last place, and the float32 sums' own rounding.
void expect_rounded(const std::vector<BFloat16>& actual, const std::vector<double>& expected,
                    const std::vector<double>& magnitude) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(to_float(actual[i]), expected[i], 0x1p-8 * std::abs(expected[i]) + 0x1p-20 * magnitude[i])
        << "element " << i;
  }
}

class SmallConvolutionTest : public testing::TestWithParam<ConvolutionShape> {
 protected:
  void SetUp() override {
    if (!amx_bf16_available()) GTEST_SKIP() << "this CPU has no AMX";
  }
};

// images, height, width, in, out, kernel, stride, padding
INSTANTIATE_TEST_SUITE_P(Shapes, SmallConvolutionTest,
                         testing::Values(ConvolutionShape{32, 4, 4, 64, 96, 3, 1, 1},
                                         ConvolutionShape{1, 4, 4, 64, 64, 3, 1, 1},  // one image
                                         ConvolutionShape{70, 3, 5, 96, 64, 3, 1,
                                                          1},  // odd sizes, three groups
                                         ConvolutionShape{33, 7, 8, 128, 256, 3, 2, 1},  // stride
                                         ConvolutionShape{40, 1, 1, 32, 64, 3, 1, 1},   // the middle tap only
                                         ConvolutionShape{20, 4, 4, 64, 544, 1, 1, 0},  // 1x1
                                         ConvolutionShape{5, 6, 6, 64, 64, 3, 1, 0}));  // no padding

TEST_P(SmallConvolutionTest, EqualsItsDefinition) {
  const auto& s = GetParam();
  ASSERT_TRUE(small_convolution_supports(s));
  const auto x = random_values(s.images * s.height * s.width * s.in_channels, 1);
  const auto weight = random_values(s.out_channels * s.kernel * s.kernel * s.in_channels, 2);
  std::vector<double> expected(
      static_cast<std::size_t>(s.images * s.out_height() * s.out_width() * s.out_channels));
  std::vector<double> magnitude(expected.size());
  for_products(s, [&](auto n, auto h, auto w, auto kh, auto kw, auto row, auto column) {
    const BFloat16* const in = x.data() + ((n * s.height + row) * s.width + column) * s.in_channels;
    const auto out =
        static_cast<std::size_t>(((n * s.out_height() + h) * s.out_width() + w) * s.out_channels);
    for (std::int64_t o = 0; o < s.out_channels; ++o) {
      const BFloat16* const tap = weight.data() + ((o * s.kernel + kh) * s.kernel + kw) * s.in_channels;
      for (std::int64_t i = 0; i < s.in_channels; ++i) {
        const double product = static_cast<double>(to_float(in[i])) * to_float(tap[i]);
        expected[out + static_cast<std::size_t>(o)] += product;
        magnitude[out + static_cast<std::size_t>(o)] += std::abs(product);
      }
    }
  });
  expect_rounded(by_kernel(s, x, s, weight, pack_weight, 1), expected, magnitude);
}

TEST_P(SmallConvolutionTest, ComputesTheInputsGradient) {
  const auto& s = GetParam();
  if (s.stride != 1) {
    EXPECT_THROW(input_gradient_shape(s), InternalError);
    return;
  }
  const auto dy = random_values(s.images * s.out_height() * s.out_width() * s.out_channels, 3);
  const auto weight = random_values(s.out_channels * s.kernel * s.kernel * s.in_channels, 4);
  std::vector<double> expected(static_cast<std::size_t>(s.images * s.height * s.width * s.in_channels));
  std::vector<double> magnitude(expected.size());
  for_products(s, [&](auto n, auto h, auto w, auto kh, auto kw, auto row, auto column) {
    const BFloat16* const out = dy.data() + ((n * s.out_height() + h) * s.out_width() + w) * s.out_channels;
    const auto in = static_cast<std::size_t>(((n * s.height + row) * s.width + column) * s.in_channels);
    for (std::int64_t o = 0; o < s.out_channels; ++o) {
      const BFloat16* const tap = weight.data() + ((o * s.kernel + kh) * s.kernel + kw) * s.in_channels;
      for (std::int64_t i = 0; i < s.in_channels; ++i) {
        const double product = static_cast<double>(to_float(out[o])) * to_float(tap[i]);
        expected[in + static_cast<std::size_t>(i)] += product;
        magnitude[in + static_cast<std::size_t>(i)] += std::abs(product);
      }
    }
  });
  const auto transposed = input_gradient_shape(s);
  EXPECT_EQ(transposed.out_height(), s.height);
  expect_rounded(by_kernel(transposed, dy, s, weight, pack_weight_for_input_gradient, 1), expected,
                 magnitude);
}

TEST_P(SmallConvolutionTest, IsTheSameHoweverTheWorkIsCut) {
  const auto& s = GetParam();
  const auto x = random_values(s.images * s.height * s.width * s.in_channels, 5);
  const auto weight = random_values(s.out_channels * s.kernel * s.kernel * s.in_channels, 6);
  const auto bits = [&](int threads) {
    std::vector<std::uint16_t> all;
    for (const auto value : by_kernel(s, x, s, weight, pack_weight, threads)) all.push_back(value.bits);
    return all;
  };
  const auto alone = bits(1);
  for (const int threads : {2, 3, 7, 100}) EXPECT_EQ(bits(threads), alone) << threads << " threads";
}

TEST(SmallConvolutionShapeTest, PaysForFewPixelsOfManyChannels) {
  EXPECT_TRUE(small_convolution_pays({64, 4, 4, 512, 512, 3, 1, 1}));
  EXPECT_TRUE(small_convolution_pays({64, 8, 8, 256, 512, 3, 2, 1}));
  EXPECT_FALSE(small_convolution_pays({64, 8, 8, 256, 512, 1, 2, 0}));  // few weights
  EXPECT_FALSE(small_convolution_pays({64, 8, 8, 256, 256, 3, 1, 1}));  // more pixels
  EXPECT_FALSE(small_convolution_supports({64, 4, 4, 500, 512, 3, 1, 1}));
  EXPECT_FALSE(small_convolution_supports({64, 4, 4, 512, 512, 7, 2, 3}));
  EXPECT_FALSE(small_convolution_supports({64, 1, 1, 512, 512, 3, 1, 0}));  // no output pixel
}

}  // namespace
}  // namespace rn::kernels
