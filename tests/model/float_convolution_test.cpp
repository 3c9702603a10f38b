#include "model/float_convolution.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/cpu_features.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using kernels::FloatActivation;
using testing::relative_error;

struct Shape {
  std::int64_t images, in, out, size, kernel, stride, padding;
};

void PrintTo(const Shape& s, std::ostream* out) {
  *out << s.images << " images of " << s.in << "x" << s.size << "x" << s.size << ", " << s.out
       << " channels, kernel " << s.kernel << ", stride " << s.stride << ", padding " << s.padding;
}

struct Gradients {
  torch::Tensor output, input, weight, bias;
};

class FloatConvolutionFunctionTest : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    if (!kernels::avx512_available()) GTEST_SKIP() << "this CPU has no AVX-512";
    torch::manual_seed(7);
    const auto& s = GetParam();
    input_ = torch::randn({s.images, s.in, s.size, s.size}).contiguous(at::MemoryFormat::ChannelsLast);
    weight_ = torch::randn({s.out, s.in, s.kernel, s.kernel}).contiguous(at::MemoryFormat::ChannelsLast);
    bias_ = torch::randn({s.out});
  }

  template <class Convolve>
  Gradients run(torch::ScalarType type, const Convolve& convolve) const {
    const auto leaf = [&](const torch::Tensor& values) {
      return values.to(type, /*non_blocking=*/false, /*copy=*/true).requires_grad_();
    };
    const auto x = leaf(input_), w = leaf(weight_), b = leaf(bias_);
    const auto y = convolve(x, w, b);
    torch::manual_seed(8);
    const auto upstream = torch::randn(y.sizes(), torch::kFloat32).to(type);
    const auto gradients = torch::autograd::grad({y}, {x, w, b}, {upstream});
    return {y, gradients[0], gradients[1], gradients[2]};
  }

  Gradients own(FloatActivation activation) const {
    return run(torch::kFloat32, [&](const auto& x, const auto& w, const auto& b) {
      return float_convolution(x, w, b, GetParam().stride, GetParam().padding, activation);
    });
  }

  torch::Tensor input_, weight_, bias_;
};

INSTANTIATE_TEST_SUITE_P(Shapes, FloatConvolutionFunctionTest,
                         ::testing::Values(Shape{10, 3, 32, 32, 3, 1, 0}, Shape{10, 32, 64, 30, 3, 1, 0},
                                           Shape{4, 3, 6, 32, 5, 1, 0}, Shape{4, 6, 16, 14, 5, 1, 0},
                                           Shape{3, 64, 128, 9, 3, 2, 1}, Shape{5, 128, 96, 8, 3, 1, 1},
                                           Shape{2, 16, 24, 7, 1, 1, 0}));

// In the order in which networks apply them, and LibTorch's operators would.
TEST_P(FloatConvolutionFunctionTest, HasTheGradientsOfFloat64) {
  const auto& s = GetParam();
  for (const auto activation : {FloatActivation::kNone, FloatActivation::kRelu, FloatActivation::kMaxPool}) {
    const auto exact = run(torch::kFloat64, [&](const auto& x, const auto& w, const auto& b) {
      const auto y = torch::conv2d(x, w, b, s.stride, s.padding);
      if (activation == FloatActivation::kNone) return y;
      return activation == FloatActivation::kRelu ? torch::relu(y) : torch::max_pool2d(torch::relu(y), 2);
    });
    const auto own = this->own(activation);
    EXPECT_TRUE(own.output.is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_TRUE(own.weight.is_contiguous(at::MemoryFormat::ChannelsLast));
    // Sums of some hundred to thousand float32 products. A relu or a maximum decides on rounded sums: one of
    // 500,000 that falls to the other side would show as 1e-3.
    EXPECT_LT(relative_error(own.output, exact.output), 1e-6);
    EXPECT_LT(relative_error(own.input, exact.input), 2e-6);
    EXPECT_LT(relative_error(own.weight, exact.weight), 2e-6);
    EXPECT_LT(relative_error(own.bias, exact.bias), 2e-6);
  }
}

TEST_P(FloatConvolutionFunctionTest, HasTheSameBitsForAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto alone = own(FloatActivation::kMaxPool);
  at::set_num_threads(2);
  const auto together = own(FloatActivation::kMaxPool);
  at::set_num_threads(threads);
  EXPECT_TRUE(together.output.equal(alone.output));
  EXPECT_TRUE(together.input.equal(alone.input));
  EXPECT_TRUE(together.weight.equal(alone.weight));
  EXPECT_TRUE(together.bias.equal(alone.bias));
}

// So a rank's share of a batch, or a shard, changes no image's activations and gradients.
TEST_P(FloatConvolutionFunctionTest, ComputesEachImageAlone) {
  const auto& s = GetParam();
  const auto convolve = [&](const torch::Tensor& x) {
    return float_convolution(x, weight_, bias_, s.stride, s.padding, FloatActivation::kRelu);
  };
  const auto x = input_.clone().requires_grad_();
  const auto whole = convolve(x);
  const auto gradient = torch::autograd::grad({whole}, {x}, {torch::ones_like(whole)})[0];
  for (std::int64_t image = 0; image < s.images; ++image) {
    const auto one = input_.narrow(0, image, 1).clone().requires_grad_();
    const auto alone = convolve(one);
    EXPECT_TRUE(alone.equal(whole.narrow(0, image, 1))) << image;
    if (s.stride != 1) continue;  // the input's gradient is LibTorch's
    EXPECT_TRUE(torch::autograd::grad({alone}, {one}, {torch::ones_like(alone)})[0].equal(
        gradient.narrow(0, image, 1)))
        << image;
  }
}

TEST_P(FloatConvolutionFunctionTest, TakesAnyLayoutOfItsInputs) {
  const auto& s = GetParam();
  const auto expected = own(FloatActivation::kRelu);
  const auto strided = run(torch::kFloat32, [&](const auto& x, const auto& w, const auto& b) {
    return float_convolution(x.contiguous(), w, b, s.stride, s.padding, FloatActivation::kRelu).contiguous();
  });
  EXPECT_TRUE(strided.output.equal(expected.output));
  EXPECT_TRUE(strided.input.equal(expected.input));
  EXPECT_TRUE(strided.weight.equal(expected.weight));
}

// Images need no gradient, a frozen weight neither.
TEST_P(FloatConvolutionFunctionTest, ComputesOneGradientWithoutTheOthers) {
  const auto& s = GetParam();
  const auto all = own(FloatActivation::kRelu);
  const auto convolve = [&](const auto& x, const auto& w, const auto& b) {
    return float_convolution(x, w, b, s.stride, s.padding, FloatActivation::kRelu);
  };
  torch::manual_seed(8);
  const auto upstream = torch::randn(all.output.sizes());
  auto w = weight_.clone().requires_grad_();
  convolve(input_, w, bias_).backward(upstream);
  EXPECT_TRUE(w.grad().equal(all.weight));
  auto b = bias_.clone().requires_grad_();
  convolve(input_, weight_, b).backward(upstream);
  EXPECT_TRUE(b.grad().equal(all.bias));
  auto x = input_.clone().requires_grad_();
  convolve(x, weight_, bias_).backward(upstream);
  EXPECT_TRUE(x.grad().equal(all.input));
}

TEST(ConvolutionReluTest, AgreesWithItsTwin) {
  for (const auto pooling : {ConvolutionReluImpl::Pooling::kNone, ConvolutionReluImpl::Pooling::kMax2x2}) {
    ModelOptions options;
    ConvolutionRelu own(options, 3, 20, 5, pooling);
    options.kernels = KernelChoice::kTorch;
    ConvolutionRelu twin(options, 3, 20, 5, pooling);
    own->weight = own->weight.detach().contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
    twin->weight = own->weight;
    twin->bias = own->bias;
    const auto x = torch::randn({4, 3, 19, 19});
    EXPECT_LT(relative_error(own->forward(x), twin->forward(x)), 1e-6);
    EXPECT_EQ(own->forward(x).grad_fn()->name().find("FloatConvolution") != std::string::npos,
              kernels::avx512_available());
    EXPECT_EQ(twin->forward(x).grad_fn()->name().find("FloatConvolution"), std::string::npos);
    const auto none = torch::zeros({0, 3, 19, 19});  // a rank without images
    EXPECT_EQ(own->forward(none).size(0), 0);
  }
}

}  // namespace
}  // namespace rn::model
