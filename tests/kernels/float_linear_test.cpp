#include "kernels/float_linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu_features.h"

namespace rn::kernels {
namespace {

std::vector<float> random_values(std::int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> draw(-1.0F, 1.0F);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (auto& value : values) value = draw(random);
  return values;
}

// The products of two matrices by definition, in float64, with the sums of their sizes, by which errors are
// judged.
struct Sums {
  std::vector<double> values, sizes;
};

template <typename A, typename B>
Sums by_definition(std::int64_t rows, std::int64_t columns, std::int64_t count, A a, B b) {
  Sums sums;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) {
      double value = 0, size = 0;
      for (std::int64_t k = 0; k < count; ++k) {
        const double product = double{a(i, k)} * b(k, j);
        value += product;
        size += std::abs(product);
      }
      sums.values.push_back(value);
      sums.sizes.push_back(size);
    }
  }
  return sums;
}

class FloatLinearTest : public testing::TestWithParam<LinearShape> {
 protected:
  void SetUp() override {
    if (!float_linear_supports(s)) GTEST_SKIP() << "this CPU has no AVX-512";
  }

  // A rounding for each of a sum's 16 lanes and of their sum, and a few more: far below what a lost term
  // would change.
  static void expect_near(const std::vector<float>& found, const Sums& expected) {
    ASSERT_EQ(found.size(), expected.values.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected.values[i], 1e-6 * expected.sizes[i] + 1e-7) << "value " << i;
    }
  }

  template <typename Compute>
  static std::vector<float> in_parts(std::int64_t values, std::int64_t whole, std::int64_t part,
                                     Compute compute) {
    std::vector<float> out(static_cast<std::size_t>(values), 77.0F);  // must be written, not added to
    for (std::int64_t begin = 0; begin < whole; begin += part) {
      compute(begin, std::min(whole, begin + part), out.data());
    }
    return out;
  }

  std::vector<float> forward(std::int64_t part) const {
    return in_parts(s.rows * s.out, s.out, part, [&](std::int64_t begin, std::int64_t end, float* y) {
      float_linear(s, x.data(), weight.data(), bias.data(), begin, end, y);
    });
  }
  std::vector<float> input_gradient(std::int64_t part) const {
    return in_parts(s.rows * s.in, s.in, part, [&](std::int64_t begin, std::int64_t end, float* dx) {
      float_linear_input_gradient(s, dy.data(), weight.data(), begin, end, dx);
    });
  }
  std::vector<float> weight_gradient(std::int64_t part) const {
    return in_parts(s.out * s.in, s.out, part, [&](std::int64_t begin, std::int64_t end, float* dw) {
      float_linear_weight_gradient(s, x.data(), dy.data(), begin, end, dw);
    });
  }

  const LinearShape s = GetParam();
  const std::vector<float> x = random_values(s.rows * s.in, 1), weight = random_values(s.out * s.in, 2),
                           bias = random_values(s.out, 3), dy = random_values(s.rows * s.out, 4);
};

// rows, in, out
INSTANTIATE_TEST_SUITE_P(Shapes, FloatLinearTest,
                         testing::Values(LinearShape{10, 12544, 128},  // pfl_cnn's
                                         LinearShape{10, 400, 120}, LinearShape{10, 120, 84},
                                         LinearShape{10, 84, 10},  // lenet's
                                         LinearShape{1, 1, 1}, LinearShape{20, 33, 9},
                                         LinearShape{13, 2049, 5}, LinearShape{7, 17, 31},
                                         LinearShape{4, 4100, 3}));

TEST_P(FloatLinearTest, IsTheSumOfProducts) {
  auto expected = by_definition(
      s.rows, s.out, s.in, [&](auto n, auto k) { return x[static_cast<std::size_t>(n * s.in + k)]; },
      [&](auto k, auto o) { return weight[static_cast<std::size_t>(o * s.in + k)]; });
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    expected.values[i] += bias[i % static_cast<std::size_t>(s.out)];
    expected.sizes[i] += 1;
  }
  expect_near(forward(s.out), expected);
}

TEST_P(FloatLinearTest, GradientsAreTheSumsOfProducts) {
  expect_near(
      input_gradient(s.in),
      by_definition(
          s.rows, s.in, s.out, [&](auto n, auto o) { return dy[static_cast<std::size_t>(n * s.out + o)]; },
          [&](auto o, auto k) { return weight[static_cast<std::size_t>(o * s.in + k)]; }));
  expect_near(
      weight_gradient(s.out),
      by_definition(
          s.out, s.in, s.rows, [&](auto o, auto n) { return dy[static_cast<std::size_t>(n * s.out + o)]; },
          [&](auto n, auto k) { return x[static_cast<std::size_t>(n * s.in + k)]; }));
}

TEST_P(FloatLinearTest, HasTheSameBitsHoweverTheWorkIsCut) {
  for (const std::int64_t part : {1, 3, 7, 64}) {
    EXPECT_EQ(forward(part), forward(s.out)) << part;
    EXPECT_EQ(weight_gradient(part), weight_gradient(s.out)) << part;
    if (s.in / part > 3000) continue;
    EXPECT_EQ(input_gradient(part), input_gradient(s.in)) << part;
  }
}

// From the gradients that the other functions compute, by the same roundings.
TEST_P(FloatLinearTest, AStepMovesTheWeightByItsGradient) {
  const auto dw = weight_gradient(s.out);
  for (const float decay : {0.0F, 0.01F}) {
    auto expected = weight;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expected[i] = std::fma(-0.3F, std::fma(decay, expected[i], dw[i]), expected[i]);
    }
    for (const std::int64_t part : {s.in, std::int64_t{7}, std::int64_t{64}}) {
      auto stepped = weight;
      EXPECT_EQ(in_parts(s.rows * s.in, s.in, part,
                         [&](std::int64_t begin, std::int64_t end, float* dx) {
                           float_linear_step(s, x.data(), dy.data(), 0.3F, decay, begin, end, stepped.data(),
                                             dx);
                         }),
                input_gradient(s.in));
      EXPECT_EQ(stepped, expected) << decay << " by " << part;
    }
    auto stepped = weight;
    float_linear_step(s, x.data(), dy.data(), 0.3F, decay, 0, s.in, stepped.data(), /*dx=*/nullptr);
    EXPECT_EQ(stepped, expected) << decay << ", no gradient of the input";
  }
}

TEST(FloatLinearShapeTest, LeavesManyRowsToMatrixProducts) {
  EXPECT_EQ(float_linear_supports({20, 100, 100}), avx512_available());
  EXPECT_FALSE(float_linear_supports({21, 100, 100}));
  EXPECT_FALSE(float_linear_supports({0, 100, 100}));
}

}  // namespace
}  // namespace rn::kernels
