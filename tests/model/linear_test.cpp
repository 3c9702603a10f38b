#include "model/linear.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include <tuple>

#include "kernels/float_linear.h"

namespace rn::model {
namespace {

struct Gradients {
  torch::Tensor y, dx, dw, dbias;
};

// Through `layer`, and back from a gradient of y that differs everywhere.
template <typename Layer>
Gradients through(Layer& layer, const torch::Tensor& input) {
  layer->zero_grad();
  const auto x = input.clone().requires_grad_();
  const auto y = layer->forward(x);
  (y * torch::linspace(-1, 1, y.numel()).view(y.sizes())).sum().backward();
  return {y.detach(), x.grad(), layer->weight.grad().clone(), layer->bias.grad().clone()};
}

class LinearTest : public testing::TestWithParam<std::tuple<int, int, int>> {
 protected:
  LinearTest() {
    torch::manual_seed(3);
    const auto [rows, in, out] = GetParam();
    ours = Linear(ModelOptions{}, in, out);
    plain = torch::nn::Linear(in, out);
    const torch::NoGradGuard no_grad;
    plain->weight.copy_(ours->weight);
    plain->bias.copy_(ours->bias);
    x = torch::randn({rows, in});
  }

  // Two orders of the same float32 sums of up to 12,544 products.
  static void expect_near(const Gradients& found, const Gradients& expected) {
    EXPECT_TRUE(torch::allclose(found.y, expected.y, 1e-5, 1e-5));
    EXPECT_TRUE(torch::allclose(found.dx, expected.dx, 1e-5, 1e-5));
    EXPECT_TRUE(torch::allclose(found.dw, expected.dw, 1e-5, 1e-5));
    EXPECT_TRUE(torch::allclose(found.dbias, expected.dbias, 1e-5, 1e-5));
  }

  Linear ours{nullptr};
  torch::nn::Linear plain{nullptr};
  torch::Tensor x;
};

// rows, in, out
INSTANTIATE_TEST_SUITE_P(Shapes, LinearTest,
                         testing::Values(std::tuple(10, 12544, 128), std::tuple(1, 33, 7),
                                         std::tuple(20, 84, 10), std::tuple(21, 84, 10),
                                         std::tuple(100, 400, 120)));

TEST_P(LinearTest, IsTorchsWithItsGradients) { expect_near(through(ours, x), through(plain, x)); }

// By the same kernels, so the bits are those of a relu behind the layer.
TEST_P(LinearTest, ARelusGradientIsThatOfOneBehindIt) {
  const auto [rows, in, out] = GetParam();
  Linear cuts(ModelOptions{}, in, out, LinearImpl::Activation::kRelu);
  {
    const torch::NoGradGuard no_grad;
    cuts->weight.copy_(ours->weight);
    cuts->bias.copy_(ours->bias);
  }
  struct Behind {
    Behind* operator->() { return this; }
    torch::Tensor forward(const torch::Tensor& input) { return torch::relu(layer->forward(input)); }
    void zero_grad() { layer->zero_grad(); }
    Linear layer;
    torch::Tensor &weight = layer->weight, &bias = layer->bias;
  };
  Behind behind{.layer = ours};
  const auto found = through(cuts, x), expected = through(behind, x);
  EXPECT_GT((found.y == 0).sum().item<std::int64_t>(), 0);
  EXPECT_TRUE(torch::equal(found.y, expected.y));
  EXPECT_TRUE(torch::equal(found.dx, expected.dx));
  EXPECT_TRUE(torch::equal(found.dw, expected.dw));
  EXPECT_TRUE(torch::equal(found.dbias, expected.dbias));
}

// Few rows keep float32 where bf16 is asked for: nearer to the truth, and faster.
TEST_P(LinearTest, UnderAutocastFewRowsKeepFloat32) {
  const auto expected = through(plain, x);
  at::autocast::set_autocast_dtype(at::kCPU, torch::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto found = through(ours, x);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  at::autocast::clear_cache();
  const auto [rows, in, out] = GetParam();
  if (kernels::float_linear_supports({rows, in, out})) {
    EXPECT_EQ(found.y.scalar_type(), torch::kFloat32);
    return expect_near(found, expected);
  }
  EXPECT_EQ(found.y.scalar_type(), torch::kBFloat16);
  EXPECT_TRUE(torch::allclose(found.y.to(torch::kFloat32), expected.y, 0.02, 0.02));
}

}  // namespace
}  // namespace rn::model
