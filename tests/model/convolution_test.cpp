#include "model/convolution.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <ostream>

#include "kernels/cpu_features.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using testing::relative_error;

class AutocastBF16 {
 public:
  AutocastBF16() {
    at::autocast::set_autocast_dtype(at::kCPU, torch::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, true);
  }
  ~AutocastBF16() {
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
  }
};

struct Shape {
  std::int64_t n, in, out, size, kernel, stride;
};
void PrintTo(const Shape& s, std::ostream* out) {
  *out << s.n << "x" << s.in << "x" << s.size << "x" << s.size << " to " << s.out << ", kernel " << s.kernel
       << ", stride " << s.stride;
}

struct Gradients {
  torch::Tensor output, input, weight;
};

class BF16ConvolutionTest : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    if (!kernels::amx_bf16_available()) GTEST_SKIP() << "this CPU has no AMX";
    torch::manual_seed(7);
    const auto [n, in, out, size, kernel, stride] = GetParam();
    // Values of bf16, so that float64 sees the same problem.
    const auto rounded = [](const torch::Tensor& values) {
      return values.to(torch::kBFloat16).to(torch::kFloat32).contiguous(at::MemoryFormat::ChannelsLast);
    };
    input_ = rounded(torch::randn({n, in, size, size}));
    weight_ = rounded(torch::randn({out, in, kernel, kernel}) /
                      std::sqrt(static_cast<double>(in * kernel * kernel)));
    const std::int64_t smaller = (size + stride - 1) / stride;
    upstream_ = rounded(torch::randn({n, out, smaller, smaller}));
  }

  // A copy: requires_grad_ on what to() returns would mark the original where the type is the same.
  static torch::Tensor leaf(const torch::Tensor& values, torch::ScalarType type) {
    return values.to(type, /*non_blocking=*/false, /*copy=*/true).requires_grad_();
  }

  template <class Convolve>
  Gradients run(torch::ScalarType input_type, torch::ScalarType weight_type, const Convolve& convolve) const {
    const auto x = leaf(input_, input_type), w = leaf(weight_, weight_type);
    const auto y = convolve(x, w);
    const auto gradients = torch::autograd::grad({y}, {x, w}, {upstream_.to(y.scalar_type())});
    return {y, gradients[0], gradients[1]};
  }

  torch::Tensor input_, weight_, upstream_;
};

INSTANTIATE_TEST_SUITE_P(Shapes, BF16ConvolutionTest,
                         ::testing::Values(Shape{32, 32, 64, 8, 3, 1}, Shape{37, 64, 32, 9, 3, 2},
                                           Shape{16, 64, 128, 6, 1, 2}, Shape{70, 32, 32, 4, 3, 1},
                                           // small images of many channels
                                           Shape{33, 128, 160, 4, 3, 1}, Shape{32, 256, 512, 8, 3, 2}));

TEST_P(BF16ConvolutionTest, HasTheGradientsOfFloat64) {
  const std::int64_t stride = GetParam().stride, padding = GetParam().kernel / 2;
  const auto exact = run(torch::kFloat64, torch::kFloat64, [&](const auto& x, const auto& w) {
    return torch::conv2d(x, w, {}, stride, padding);
  });
  for (const auto type : {torch::kBFloat16, torch::kFloat32}) {
    const auto own = run(type, torch::kFloat32, [&](const auto& x, const auto& w) {
      return bf16_convolution(x, w, stride, padding);
    });
    EXPECT_EQ(own.output.scalar_type(), torch::kBFloat16);
    EXPECT_EQ(own.input.scalar_type(), type);
    EXPECT_EQ(own.weight.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(own.weight.is_contiguous(at::MemoryFormat::ChannelsLast));
    // Rounded to bf16 once: by 2^-8 at most, 1.6e-3 in the root mean square. The weight's is not rounded at
    // all.
    EXPECT_LT(relative_error(own.output, exact.output), 2e-3);
    EXPECT_LT(relative_error(own.input, exact.input), 2e-3);
    EXPECT_LT(relative_error(own.weight, exact.weight), 1e-6);
  }
}

// What the networks see: the same module with and without own kernels, under autocast.
TEST_P(BF16ConvolutionTest, AgreesWithItsTwinUnderAutocast) {
  const auto [n, in, out, size, kernel, stride] = GetParam();
  ModelOptions options;
  Convolution own(options, in, out, kernel, stride);
  options.kernels = KernelChoice::kTorch;
  Convolution twin(options, in, out, kernel, stride);
  const auto through = [&](Convolution& convolution) {
    return run(torch::kFloat32, torch::kFloat32, [&](const auto& x, const auto& w) {
      convolution->weight = w;
      const AutocastBF16 autocast;
      return convolution->forward(x);
    });
  };
  const auto a = through(own), b = through(twin);
  // The same sums in another order, rounded to bf16.
  EXPECT_LT(relative_error(a.output, b.output), 1e-3);
  EXPECT_LT(relative_error(a.input, b.input), 1e-3);
  EXPECT_LT(relative_error(a.weight, b.weight), 4e-3);  // the twin's is rounded to bf16
  EXPECT_GT(relative_error(a.weight, b.weight), 1e-5);  // and so differs: the own kernel was there
}

// A frozen weight, or images as input: the other gradient alone, with the same bits.
TEST_P(BF16ConvolutionTest, ComputesOneGradientWithoutTheOther) {
  const std::int64_t stride = GetParam().stride, padding = GetParam().kernel / 2;
  const auto both = run(torch::kBFloat16, torch::kFloat32, [&](const auto& x, const auto& w) {
    return bf16_convolution(x, w, stride, padding);
  });
  for (const bool weight_only : {true, false}) {
    const auto x = leaf(input_, torch::kBFloat16).requires_grad_(!weight_only);
    const auto w = leaf(weight_, torch::kFloat32).requires_grad_(weight_only);
    bf16_convolution(x, w, stride, padding).backward(upstream_.to(torch::kBFloat16));
    EXPECT_TRUE((weight_only ? w : x).grad().equal(weight_only ? both.weight : both.input));
    EXPECT_FALSE((weight_only ? x : w).grad().defined());
  }
}

TEST_P(BF16ConvolutionTest, TakesAnyLayout) {
  const std::int64_t stride = GetParam().stride, padding = GetParam().kernel / 2;
  const auto dense = run(torch::kBFloat16, torch::kFloat32, [&](const auto& x, const auto& w) {
    return bf16_convolution(x, w, stride, padding);
  });
  const auto strided = run(torch::kBFloat16, torch::kFloat32, [&](const auto& x, const auto& w) {
    return bf16_convolution(x.contiguous(), w.contiguous(), stride, padding);  // NCHW
  });
  EXPECT_TRUE(strided.output.equal(dense.output));
  EXPECT_TRUE(strided.weight.equal(dense.weight));
  EXPECT_TRUE(strided.input.equal(dense.input));
  // An expanded gradient, as of a sum.
  const auto x = leaf(input_, torch::kBFloat16), w = leaf(weight_, torch::kFloat32);
  bf16_convolution(x, w, stride, padding).sum().backward();
  const auto y = bf16_convolution(x, w, stride, padding);
  const auto expected = torch::autograd::grad({y}, {w}, {torch::ones_like(y)});
  EXPECT_TRUE(w.grad().equal(expected[0]));
}

TEST_P(BF16ConvolutionTest, HasTheSameBitsForAnyNumberOfThreads) {
  const std::int64_t stride = GetParam().stride, padding = GetParam().kernel / 2;
  const auto weight_gradient = [&](int threads) {
    at::set_num_threads(threads);
    return run(torch::kBFloat16, torch::kFloat32,
               [&](const auto& x, const auto& w) { return bf16_convolution(x, w, stride, padding); })
        .weight;
  };
  const int before = at::get_num_threads();
  const auto alone = weight_gradient(1), shared = weight_gradient(3);
  at::set_num_threads(before);
  EXPECT_TRUE(shared.equal(alone));
}

TEST(ConvolutionDispatchTest, TakesItsOwnPathUnderBF16AutocastOnly) {
  const auto weight = torch::randn({32, 32, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  const auto images = [](std::int64_t n, std::int64_t channels) { return torch::randn({n, channels, 8, 8}); };
  EXPECT_FALSE(can_convolve_in_bf16(images(32, 32), weight, 1, 1));  // no autocast
  const AutocastBF16 autocast;
  EXPECT_EQ(can_convolve_in_bf16(images(32, 32), weight, 1, 1), kernels::amx_bf16_available());
  EXPECT_FALSE(can_convolve_in_bf16(images(0, 32), weight, 1, 1));
  EXPECT_FALSE(can_convolve_in_bf16(images(4, 32), weight, 1, 1));  // too few to be worth it
  EXPECT_FALSE(can_convolve_in_bf16(images(32, 32), weight.to(torch::kFloat64), 1, 1));
  EXPECT_FALSE(can_convolve_in_bf16(images(32, 32), weight.contiguous(), 1, 1));
  EXPECT_FALSE(can_convolve_in_bf16(
      images(32, 3), torch::randn({32, 3, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast), 1, 1));
  at::autocast::set_autocast_dtype(at::kCPU, torch::kHalf);
  EXPECT_FALSE(can_convolve_in_bf16(images(32, 32), weight, 1, 1));
}

}  // namespace
}  // namespace rn::model
