#include "model/pooled_convolution.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "kernels/cpu_features.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using testing::relative_error;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

class AutocastToBF16 {
 public:
  AutocastToBF16() {
    at::autocast::set_autocast_dtype(at::kCPU, torch::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, true);
  }
  ~AutocastToBF16() {
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
  }
};

struct Case {
  std::int64_t images, in, out, size, kernel;
};

struct Gradients {
  torch::Tensor y, input, weight, bias;
};

class PooledConvolutionTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!kernels::avx512_available()) GTEST_SKIP() << "this CPU has no AVX-512";
    torch::manual_seed(7);
    const auto& c = GetParam();
    x_ = torch::randn({c.images, c.in, c.size, c.size}).contiguous(kChannelsLast);
    weight_ = (torch::randn({c.out, c.in, c.kernel, c.kernel}) * 0.1).contiguous(kChannelsLast);
    bias_ = torch::randn({c.out}) * 0.1;
  }

  template <class Convolve>
  Gradients run(const Convolve& convolve) const {
    const auto x = x_.clone().requires_grad_(), w = weight_.clone().requires_grad_(),
               b = bias_.clone().requires_grad_();
    const auto y = convolve(x, w, b).to(torch::kFloat32);
    torch::manual_seed(8);
    // Values that bf16 holds, so that both sides have the same gradient.
    const auto dy = torch::randn(y.sizes()).to(torch::kBFloat16).to(torch::kFloat32);
    const auto gradients = torch::autograd::grad({y}, {x, w, b}, {dy});
    return {y.detach(), gradients[0], gradients[1], gradients[2]};
  }

  torch::Tensor x_, weight_, bias_;
};

INSTANTIATE_TEST_SUITE_P(Shapes, PooledConvolutionTest,
                         ::testing::Values(Case{10, 32, 64, 30, 3}, Case{4, 3, 6, 32, 5},
                                           Case{3, 6, 16, 14, 5}));

// The same sums rounded alike, and the same maxima; what LibTorch rounds to bf16 once more differs by up to
// 2^-8.
TEST_P(PooledConvolutionTest, IsLibTorchsWithItsGradients) {
  const AutocastToBF16 autocast;
  ASSERT_TRUE(can_convolve_and_pool_in_bf16(x_, weight_));
  const auto own = run([](const auto& x, const auto& w, const auto& b) {
    return convolve_and_pool_in_bf16(x, w, b, /*slot=*/{});
  });
  const auto plain = run([](const auto& x, const auto& w, const auto& b) {
    return torch::relu(torch::max_pool2d(torch::conv2d(x, w, b), 2));
  });
  EXPECT_TRUE(torch::equal(own.y, plain.y));
  EXPECT_TRUE(torch::equal(own.input, plain.input));
  EXPECT_LT(relative_error(own.weight, plain.weight), 0x1p-8);
  EXPECT_LT(relative_error(own.bias, plain.bias), 0x1p-8);
  EXPECT_EQ(own.weight.scalar_type(), torch::kFloat32);
}

TEST_P(PooledConvolutionTest, TheWeightsGradientGoesIntoTheSlot) {
  const AutocastToBF16 autocast;
  const auto slice = torch::zeros_like(weight_);
  const auto slot = c10::make_intrusive<GradientSlot>(slice);
  slot->open();
  const auto own = run(
      [&](const auto& x, const auto& w, const auto& b) { return convolve_and_pool_in_bf16(x, w, b, slot); });
  EXPECT_EQ(own.weight.data_ptr(), slice.data_ptr());
  EXPECT_GT(slice.abs().sum().item<float>(), 0);
}

TEST_P(PooledConvolutionTest, IsNotForFloat32Runs) {
  EXPECT_FALSE(can_convolve_and_pool_in_bf16(x_, weight_));
}

}  // namespace
}  // namespace rn::model
