#include "kernels/weight_gradient.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "convolution_testing.h"
#include "kernels/cpu_features.h"

namespace rn::kernels {

namespace {

struct Activations {
  Activations(const ConvolutionShape& s, unsigned seed)
      : x(random_values(s.images * s.height * s.width * s.in_channels, seed)),
        dy(random_values(s.images * s.out_height() * s.out_width() * s.out_channels, seed + 1)) {}
  std::vector<BFloat16> x, dy;
};

std::size_t weights_of(const ConvolutionShape& s) {
  return static_cast<std::size_t>(s.out_channels * s.kernel * s.kernel * s.in_channels);
}

// The definition, in float64.
std::vector<double> by_definition(const ConvolutionShape& s, const Activations& in) {
  std::vector<double> dw(weights_of(s));
  for_products(s, [&](auto n, auto h, auto w, auto kh, auto kw, auto row, auto column) {
    const BFloat16* const dy = in.dy.data() + ((n * s.out_height() + h) * s.out_width() + w) * s.out_channels;
    const BFloat16* const x = in.x.data() + ((n * s.height + row) * s.width + column) * s.in_channels;
    for (std::int64_t o = 0; o < s.out_channels; ++o) {
      double* const sum = dw.data() + ((o * s.kernel + kh) * s.kernel + kw) * s.in_channels;
      const double g = to_float(dy[o]);
      for (std::int64_t i = 0; i < s.in_channels; ++i) sum[i] += g * to_float(x[i]);
    }
  });
  return dw;
}

std::vector<float> by_kernel(const ConvolutionShape& s, const Activations& in, int threads) {
  std::vector<float> dw(weights_of(s), 77.0f);  // must be written, not added to
  const WeightBlocks blocks(s, threads);
  for (std::int64_t i = 0; i < blocks.size(); ++i) {
    weight_gradient(s, in.x.data(), in.dy.data(), blocks[i], dw.data());
  }
  return dw;
}

class WeightGradientTest : public testing::TestWithParam<ConvolutionShape> {
 protected:
  void SetUp() override {
    if (!amx_bf16_available()) GTEST_SKIP() << "this CPU has no AMX";
  }
};

// images, height, width, in, out, kernel, stride, padding
INSTANTIATE_TEST_SUITE_P(
    Shapes, WeightGradientTest,
    testing::Values(ConvolutionShape{1, 4, 4, 32, 32, 3, 1, 1},      // 31 of 32 images are missing
                    ConvolutionShape{33, 9, 7, 32, 64, 3, 1, 1},     // odd sizes, a group of one image
                    ConvolutionShape{32, 32, 32, 32, 32, 3, 1, 1},   // bands of two rows
                    ConvolutionShape{40, 16, 16, 64, 32, 3, 2, 1},   // stride
                    ConvolutionShape{37, 7, 9, 32, 32, 3, 2, 1},     // stride, odd sizes
                    ConvolutionShape{70, 4, 4, 64, 64, 3, 1, 1},     // groups share a band
                    ConvolutionShape{150, 4, 4, 32, 32, 3, 1, 1},    // bands of four groups and of one
                    ConvolutionShape{35, 1, 1, 32, 32, 3, 1, 1},     // only the middle tap lies inside
                    ConvolutionShape{33, 8, 8, 64, 32, 1, 2, 0},     // 1x1
                    ConvolutionShape{20, 5, 5, 32, 160, 1, 1, 0},    // 1x1, more than a block of channels
                    ConvolutionShape{33, 32, 32, 32, 32, 3, 2, 1},   // stride over several bands
                    ConvolutionShape{2, 40, 40, 32, 32, 1, 2, 0},    // 1x1 likewise
                    ConvolutionShape{4, 20, 20, 32, 32, 3, 1, 0},    // no padding
                    ConvolutionShape{4, 20, 20, 32, 32, 3, 1, 2},    // padding on all sides
                    ConvolutionShape{4, 40, 40, 32, 32, 3, 3, 1},    // rows that no tap needs
                    ConvolutionShape{3, 70, 70, 32, 32, 3, 1, 1}));  // a row wider than a band

TEST_P(WeightGradientTest, EqualsItsDefinition) {
  const auto& shape = GetParam();
  ASSERT_TRUE(weight_gradient_supports(shape));
  const Activations in(shape, 1);
  const auto expected = by_definition(shape, in);
  const auto actual = by_kernel(shape, in, 1);
  double difference = 0, norm = 0, largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(actual[i] - expected[i], 2), norm += std::pow(expected[i], 2);
    largest = std::max(largest, std::abs(actual[i] - expected[i]));
  }
  // The products are exact in float32; their sums of n terms round, as a random walk, by about sqrt(n) units.
  const double terms = static_cast<double>(shape.images * shape.out_height() * shape.out_width());
  EXPECT_LT(std::sqrt(difference / norm), 0x1p-23 * (4 + std::sqrt(terms) / 8));
  EXPECT_LT(largest, 0x1p-23 * 2 * (terms + 8));  // sums of about sqrt(n), five deviations
}

TEST_P(WeightGradientTest, IsTheSameHoweverTheWeightIsCut) {
  const auto& shape = GetParam();
  const Activations in(shape, 5);
  const auto alone = by_kernel(shape, in, 1);
  for (const int threads : {2, 3, 8, 100})
    EXPECT_EQ(by_kernel(shape, in, threads), alone) << threads << " threads";
}

TEST(WeightBlocksTest, CoverTheWeightOnce) {
  for (const std::int64_t in : {32, 64, 96, 512}) {
    for (const std::int64_t out : {32, 96, 128, 512}) {
      for (const int threads : {1, 2, 3, 4, 16, 64}) {
        const ConvolutionShape shape{1, 4, 4, in, out, 3, 1, 1};
        const WeightBlocks blocks(shape, threads);
        std::vector<int> seen(static_cast<std::size_t>(in * out / 1024));
        for (std::int64_t i = 0; i < blocks.size(); ++i) {
          for (std::int64_t o = blocks[i].out_begin; o < blocks[i].out_end; o += 32) {
            for (std::int64_t c = blocks[i].in_begin; c < blocks[i].in_end; c += 32) {
              ++seen[static_cast<std::size_t>(o / 32 * (in / 32) + c / 32)];
            }
          }
        }
        EXPECT_EQ(seen, std::vector<int>(seen.size(), 1)) << in << " " << out << " " << threads;
        EXPECT_GE(blocks.size(), std::min<std::int64_t>(threads, in / 32)) << in << " " << out;
      }
    }
  }
}

TEST(WeightGradientShapeTest, TakesWholeGranulesOfChannelsOnly) {
  EXPECT_TRUE(weight_gradient_supports({8, 8, 8, 32, 64, 3, 1, 1}));
  EXPECT_FALSE(weight_gradient_supports({8, 8, 8, 3, 64, 3, 1, 1}));
  EXPECT_FALSE(weight_gradient_supports({8, 8, 8, 32, 48, 3, 1, 1}));
  EXPECT_FALSE(weight_gradient_supports({8, 8, 8, 32, 64, 7, 2, 3}));
  EXPECT_FALSE(weight_gradient_supports({8, 1, 1, 32, 64, 3, 1, 0}));  // no output pixel
}

}  // namespace
}  // namespace rn::kernels
