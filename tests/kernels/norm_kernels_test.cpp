#include "kernels/norm_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace rn::kernels {
namespace {

template <class T>
double wide(T value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return to_float(value);
  } else {
    return value;
  }
}

template <class T>
T narrow(double value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

// One rounding to T, relative.
template <class T>
constexpr double kRounding = std::is_same_v<T, BFloat16> ? 0x1p-8
                             : std::is_same_v<T, float>  ? 0x1p-23
                                                         : 0x1p-52;

template <class T>
struct Case {
  using A = NormAccumulator<T>;
  Case(std::int64_t n_rows, std::int64_t n_channels, unsigned seed) : rows(n_rows), channels(n_channels) {
    std::mt19937 engine(seed);
    std::normal_distribution<double> normal;
    const auto fill = [&](auto& values, std::size_t size, double centre, double spread) {
      values.resize(size);
      for (auto& value : values) {
        value = narrow<std::remove_reference_t<decltype(value)>>(centre + spread * normal(engine));
      }
    };
    const auto size = static_cast<std::size_t>(rows * channels), width = static_cast<std::size_t>(channels);
    fill(x, size, 1, 2), fill(residual, size, 0, 1), fill(y, size, 0, 1), fill(dy, size, 0.1, 1);
    fill(mean, width, 1, 0.1), fill(scale, width, 0.5, 1), fill(offset, width, 0, 1);
    fill(slope, width, 0, 0.1), fill(constant, width, 0, 0.1);
  }
  const std::int64_t rows, channels;
  std::vector<T> x, residual, y, dy;
  std::vector<A> mean, scale, offset, slope, constant;
};

struct Kernels {
  const NormKernels<BFloat16>* bf16;
  const NormKernels<float>* f32;
  const NormKernels<double>* f64;
};

// Every kernel against sums and formulas in float64, for channel counts that fill vectors and that do not.
class NormKernelsTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "plain") {
      kernels_ = {&plain_norm_kernels<BFloat16>(), &plain_norm_kernels<float>(),
                  &plain_norm_kernels<double>()};
    } else {
      kernels_ = {avx512_norm_kernels<BFloat16>(), avx512_norm_kernels<float>(), nullptr};
      if (kernels_.bf16 == nullptr) GTEST_SKIP() << "this CPU has no AVX-512 with bf16";
    }
  }

  // Calls check(kernels, case) for the element types and shapes.
  template <class Check>
  void for_all(const Check& check) {
    unsigned seed = 1;
    for (const std::int64_t channels : {1, 3, 16, 17, 64, 67, 80, 144}) {
      for (const std::int64_t rows : {1, 2, 37}) {
        SCOPED_TRACE(testing::Message() << rows << " rows, " << channels << " channels, seed " << seed);
        check(*kernels_.bf16, Case<BFloat16>(rows, channels, seed));
        check(*kernels_.f32, Case<float>(rows, channels, seed));
        if (kernels_.f64 != nullptr) check(*kernels_.f64, Case<double>(rows, channels, seed));
        ++seed;
      }
    }
  }

  Kernels kernels_{};
};

INSTANTIATE_TEST_SUITE_P(Isa, NormKernelsTest, testing::Values("plain", "avx512"),
                         [](const auto& test) { return test.param; });

TEST_P(NormKernelsTest, MomentsAreTheMeanAndTheSquaredDistancesFromIt) {
  for_all([]<class T>(const NormKernels<T>& kernels, Case<T> c) {
    using A = NormAccumulator<T>;
    const auto width = static_cast<std::size_t>(c.channels), rows = static_cast<std::size_t>(c.rows);
    for (std::size_t i = 0; i < c.x.size(); ++i) c.x[i] = narrow<T>(wide(c.x[i]) + 100);  // far from zero
    std::vector<A> mean(width, 77), distances(width, 77);
    kernels.moments(c.x.data(), c.rows, c.channels, mean.data(), distances.data());
    for (std::size_t k = 0; k < width; ++k) {
      double m = 0, d = 0, about_first = 0;
      for (std::size_t row = 0; row < rows; ++row)
        m += wide(c.x[row * width + k]) / static_cast<double>(rows);
      for (std::size_t row = 0; row < rows; ++row) {
        d += std::pow(wide(c.x[row * width + k]) - m, 2);
        about_first += std::pow(wide(c.x[row * width + k]) - wide(c.x[k]), 2);
      }
      const double rounding = 2 * static_cast<double>(rows) * std::numeric_limits<A>::epsilon();
      ASSERT_NEAR(mean[k], m, 4 * std::numeric_limits<A>::epsilon() * 100) << "channel " << k;
      ASSERT_NEAR(distances[k], d, rounding * about_first) << "channel " << k;
    }
  });
}

TEST_P(NormKernelsTest, ForwardScalesAddsAndRectifies) {
  for_all([]<class T>(const NormKernels<T>& kernels, const Case<T>& c) {
    for (const bool with_residual : {false, true}) {
      for (const bool relu : {false, true}) {
        std::vector<T> y(c.x.size(), narrow<T>(77));
        kernels.forward(c.x.data(), with_residual ? c.residual.data() : nullptr, c.rows, c.channels,
                        c.scale.data(), c.offset.data(), relu, y.data());
        for (std::size_t i = 0; i < y.size(); ++i) {
          const std::size_t k = i % static_cast<std::size_t>(c.channels);
          const double product = wide(c.x[i]) * c.scale[k];
          const double other = with_residual ? wide(c.residual[i]) : 0.0;
          const double value = product + c.offset[k] + other;
          const double expected = relu ? std::max(value, 0.0) : value;
          // One rounding of the result and those of the intermediate sums.
          const double slack = kRounding<T> * std::abs(value) +
                               4 * std::numeric_limits<NormAccumulator<T>>::epsilon() *
                                   (std::abs(product) + std::abs(c.offset[k]) + std::abs(other));
          ASSERT_NEAR(wide(y[i]), expected, slack) << "element " << i << ", relu " << relu;
        }
      }
    }
  });
}

TEST_P(NormKernelsTest, BackwardSumsSeeTheGradientThatTheReluPasses) {
  for_all([]<class T>(const NormKernels<T>& kernels, const Case<T>& c) {
    using A = NormAccumulator<T>;
    using Mask = typename NormKernels<T>::Mask;
    const auto width = static_cast<std::size_t>(c.channels);
    // What the relu saw, by the kernel's own forward pass.
    std::vector<T> seen(c.x.size());
    kernels.forward(c.x.data(), nullptr, c.rows, c.channels, c.scale.data(), c.offset.data(), true,
                    seen.data());
    for (const Mask mask : {Mask::kNone, Mask::kFromInput, Mask::kFromOutput}) {
      for (const bool with_residual : {false, true}) {
        std::vector<T> dresidual(c.x.size(), narrow<T>(77));
        std::vector<A> sum(width, 77), products(width, 77);
        kernels.backward_sums({c.dy.data(), c.x.data(), c.y.data(), c.mean.data(), c.scale.data(),
                               c.offset.data(), mask, with_residual ? dresidual.data() : nullptr},
                              c.rows, c.channels, sum.data(), products.data());
        std::vector<double> s(width), p(width), magnitude(width), product_magnitude(width);
        for (std::size_t i = 0; i < c.x.size(); ++i) {
          const bool passes = mask == Mask::kNone || wide(mask == Mask::kFromInput ? seen[i] : c.y[i]) > 0;
          const double g = passes ? wide(c.dy[i]) : 0.0, d = wide(c.x[i]) - c.mean[i % width];
          s[i % width] += g, p[i % width] += g * d;
          magnitude[i % width] += std::abs(g), product_magnitude[i % width] += std::abs(g * d);
          if (with_residual) {
            ASSERT_EQ(wide(dresidual[i]), g) << "element " << i;
          } else {
            ASSERT_EQ(wide(dresidual[i]), wide(narrow<T>(77)));
          }
        }
        const double rounding = 2 * static_cast<double>(c.rows + 1) * std::numeric_limits<A>::epsilon();
        for (std::size_t k = 0; k < width; ++k) {
          ASSERT_NEAR(sum[k], s[k], rounding * magnitude[k]) << "channel " << k;
          ASSERT_NEAR(products[k], p[k], rounding * product_magnitude[k]) << "channel " << k;
        }
      }
    }
  });
}

TEST_P(NormKernelsTest, BackwardInputIsTheFormula) {
  for_all([]<class T>(const NormKernels<T>& kernels, const Case<T>& c) {
    using Mask = typename NormKernels<T>::Mask;
    const auto width = static_cast<std::size_t>(c.channels);
    std::vector<T> seen(c.x.size());
    kernels.forward(c.x.data(), nullptr, c.rows, c.channels, c.scale.data(), c.offset.data(), true,
                    seen.data());
    for (const Mask mask : {Mask::kNone, Mask::kFromInput}) {
      std::vector<T> dx(c.x.size(), narrow<T>(77));
      kernels.backward_input({c.dy.data(), c.x.data(), c.mean.data(), c.scale.data(), c.offset.data(),
                              c.slope.data(), c.constant.data(), mask, dx.data()},
                             c.rows, c.channels);
      for (std::size_t i = 0; i < dx.size(); ++i) {
        const std::size_t k = i % width;
        const double g = mask == Mask::kNone || wide(seen[i]) > 0 ? wide(c.dy[i]) : 0.0;
        const double a = c.scale[k] * g, b = c.slope[k] * (wide(c.x[i]) - c.mean[k]);
        const double expected = a + b + c.constant[k];
        const double slack =
            kRounding<T> * std::abs(expected) +
            4 * std::numeric_limits<NormAccumulator<T>>::epsilon() *
                (std::abs(a) + std::abs(c.slope[k]) * (std::abs(wide(c.x[i])) + 2) + std::abs(c.constant[k]));
        ASSERT_NEAR(wide(dx[i]), expected, slack) << "element " << i;
      }
    }
  });
}

TEST_P(NormKernelsTest, NotANumberPassesTheRelu) {
  for_all([]<class T>(const NormKernels<T>& kernels, Case<T> c) {
    c.x[0] = narrow<T>(std::numeric_limits<double>::quiet_NaN());
    std::vector<T> y(c.x.size());
    kernels.forward(c.x.data(), nullptr, c.rows, c.channels, c.scale.data(), c.offset.data(), true, y.data());
    ASSERT_TRUE(std::isnan(wide(y[0])));
    std::vector<NormAccumulator<T>> sum(static_cast<std::size_t>(c.channels)), products(sum);
    kernels.backward_sums({c.dy.data(), c.x.data(), y.data(), c.mean.data(), c.scale.data(), c.offset.data(),
                           NormKernels<T>::Mask::kFromOutput, nullptr},
                          c.rows, c.channels, sum.data(), products.data());
    ASSERT_FALSE(std::isnan(sum[0]));  // dy has none: had the relu held it back, the sum would lack dy[0]
    double expected = 0;
    for (std::size_t i = 0; i < c.dy.size(); i += static_cast<std::size_t>(c.channels)) {
      if (!(wide(y[i]) <= 0)) expected += wide(c.dy[i]);
    }
    ASSERT_NEAR(sum[0], expected, 1e-5 * static_cast<double>(c.rows));
  });
}

}  // namespace
}  // namespace rn::kernels
