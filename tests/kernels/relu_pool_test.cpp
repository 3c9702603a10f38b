#include "kernels/relu_pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu_features.h"
#include "kernels/float_convolution.h"

namespace rn::kernels {
namespace {

std::vector<BFloat16> random_values(std::int64_t size, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<BFloat16> values(static_cast<std::size_t>(size));
  for (auto& value : values) value = to_bfloat16(normal(engine));
  return values;
}

// Every bf16 there is.
std::vector<BFloat16> all_values() {
  std::vector<BFloat16> values;
  for (int bits = 0; bits < 0x10000; ++bits) values.push_back({static_cast<std::uint16_t>(bits)});
  return values;
}

void expect_value(BFloat16 actual, float expected, const std::string& what) {
  const float value = to_float(actual);
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(value)) << what;
  } else {
    EXPECT_EQ(value, expected) << what;
    EXPECT_FALSE(std::signbit(value)) << what;
  }
}

class ReluPoolTest : public testing::TestWithParam<PoolShape> {
 protected:
  void SetUp() override {
    if (!avx512_available()) GTEST_SKIP() << "this CPU has no AVX-512";
  }
};

TEST_F(ReluPoolTest, ReluCutsEveryNumberAsItShould) {
  const auto x = all_values();
  std::vector<BFloat16> y(x.size()), dx(x.size());
  relu(x.data(), static_cast<std::int64_t>(x.size()), y.data());
  const std::vector<BFloat16> dy(x.size(), to_bfloat16(-3));
  relu_gradient(dy.data(), y.data(), static_cast<std::int64_t>(x.size()), dx.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float value = to_float(x[i]);
    expect_value(y[i], value <= 0 ? 0 : value, "relu of " + std::to_string(i));
    EXPECT_EQ(to_float(dx[i]), value <= 0 ? 0 : -3) << i;
  }
}

TEST_F(ReluPoolTest, ReluOfAnyNumberOfValuesStaysInside) {
  for (const std::int64_t count : {0, 1, 31, 32, 33, 95}) {
    const auto x = random_values(count, 1);
    std::vector<BFloat16> y(x.size() + 1, BFloat16{77});
    relu(x.data(), count, y.data());
    EXPECT_EQ(y.back().bits, 77) << count;
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(to_float(y[i]), std::max(0.0F, to_float(x[i])));
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ReluPoolTest,
                         testing::Values(PoolShape{2, 28, 28, 64}, PoolShape{3, 5, 7, 33},
                                         PoolShape{1, 2, 2, 1}, PoolShape{2, 4, 9, 16},
                                         PoolShape{1, 7, 4, 40}));

TEST_P(ReluPoolTest, TakesTheLargestAndSendsItsGradientThere) {
  const auto s = GetParam();
  auto x = random_values(s.images * s.height * s.width * s.channels, 2);
  for (std::size_t i = 0; i < x.size(); i += 7) x[i] = to_bfloat16(-1);  // windows that are cut
  for (std::size_t i = 3; i < x.size(); i += 11) x[i] = to_bfloat16(2);  // and ties
  x[x.size() / 2] = to_bfloat16(-std::numeric_limits<float>::quiet_NaN());
  const std::int64_t height = s.height / 2, width = s.width / 2;
  const auto pooled = static_cast<std::size_t>(s.images * height * width * s.channels);
  const auto dy = random_values(static_cast<std::int64_t>(pooled), 3);
  std::vector<BFloat16> y(pooled), dx(x.size(), BFloat16{77});
  std::vector<std::uint8_t> taken(pooled, 99);
  for (std::int64_t n = 0; n < s.images; ++n) {  // image by image, as threads share them
    relu_pool(s, x.data(), n, n + 1, y.data(), taken.data());
    relu_pool_gradient(s, dy.data(), taken.data(), n, n + 1, dx.data());
  }

  std::vector<float> expected_dx(x.size());
  for (std::size_t i = 0; i < pooled; ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const std::int64_t c = at % s.channels, w = at / s.channels % width, h = at / s.channels / width % height,
                       n = at / s.channels / width / height;
    const auto place = [&](int index) {
      return static_cast<std::size_t>(
          ((n * s.height + 2 * h + index / 2) * s.width + 2 * w + index % 2) * s.channels + c);
    };
    int from = 0;  // the first of equals; a NaN before all
    for (int index = 1; index < 4; ++index) {
      const float best = to_float(x[place(from)]), other = to_float(x[place(index)]);
      if (!std::isnan(best) && (std::isnan(other) || other > best)) from = index;
    }
    const float largest = to_float(x[place(from)]);
    const bool cuts = largest <= 0;
    expect_value(y[i], cuts ? 0 : largest, "value " + std::to_string(i));
    EXPECT_EQ(taken[i], cuts ? kCutByRelu : from) << i;
    if (!cuts) expected_dx[place(from)] = to_float(dy[i]);
  }
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(to_float(dx[i]), expected_dx[i]) << i;
}

}  // namespace
}  // namespace rn::kernels
