#include "model/relu_pool.h"

#include <gtest/gtest.h>

#include "kernels/cpu_features.h"

namespace rn::model {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

torch::Tensor plain(const torch::Tensor& x, bool pools) {
  return torch::relu(pools ? torch::max_pool2d(x, 2) : x);
}

// Nothing is summed, so the bits are LibTorch's.
TEST(ReluPoolTest, GivesTheBitsOfLibTorchsOperators) {
  if (!kernels::avx512_available()) GTEST_SKIP() << "this CPU has no AVX-512";
  torch::manual_seed(3);
  for (const auto& sizes : {std::vector<std::int64_t>{10, 32, 30, 30}, {3, 33, 7, 6}, {1, 5, 2, 9}}) {
    for (const bool pools : {false, true}) {
      const auto x = torch::randn(sizes).to(torch::kBFloat16).contiguous(kChannelsLast).requires_grad_();
      ASSERT_TRUE(can_relu_pool(x));
      const auto ours = relu_pool(x, pools), expected = plain(x, pools);
      EXPECT_TRUE(ours.is_contiguous(kChannelsLast));
      EXPECT_TRUE(torch::equal(ours, expected)) << sizes << pools;
      const auto dy = torch::randn_like(expected);
      const auto dx = torch::autograd::grad({ours}, {x}, {dy})[0];
      EXPECT_TRUE(torch::equal(dx, torch::autograd::grad({expected}, {x}, {dy})[0])) << sizes << pools;
    }
  }
}

TEST(ReluPoolTest, LeavesOtherTensorsToLibTorch) {
  EXPECT_FALSE(can_relu_pool(torch::randn({2, 8, 4, 4}).contiguous(kChannelsLast)));  // float32
  EXPECT_FALSE(can_relu_pool(torch::randn({2, 8, 4, 4}).to(torch::kBFloat16)));       // planes
  EXPECT_FALSE(
      can_relu_pool(torch::randn({0, 8, 4, 4}).to(torch::kBFloat16).contiguous(kChannelsLast)));  // empty
}

}  // namespace
}  // namespace rn::model
