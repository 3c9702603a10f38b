#include "model/norm.h"

#include <gtest/gtest.h>

#include <limits>

#include "model_testing.h"

namespace rn::model {
namespace {

using testing::relative_error;

ModelOptions options_for(Norm norm, int groups = 2) {
  ModelOptions options;
  options.norm = norm;
  options.group_norm_groups = groups;
  return options;
}

torch::Tensor images(std::int64_t n, std::int64_t seed) {
  torch::manual_seed(static_cast<std::uint64_t>(seed));
  return (torch::randn({n, 4, 3, 5}) * 2 + 1).contiguous(at::MemoryFormat::ChannelsLast);
}

TEST(NormLayerTest, TrainingWritesTheShardsStatisticsAndLeavesTheRunningOnes) {
  NormLayer norm(options_for(Norm::kBatch), 4, nullptr);
  const auto x = images(3, 1);
  norm->forward(x);
  EXPECT_LT(relative_error(norm->batch_mean, x.mean({0, 2, 3})), 1e-6);
  EXPECT_LT(relative_error(norm->batch_var, x.var({0, 2, 3}, /*unbiased=*/true)), 1e-6);
  EXPECT_TRUE(norm->running_mean.equal(torch::zeros({4})));
  EXPECT_TRUE(norm->running_var.equal(torch::ones({4})));
}

TEST(NormLayerTest, OneShardUpdatesRunningStatisticsAsPyTorchDoes) {
  auto options = options_for(Norm::kBatch);
  options.kernels = KernelChoice::kTorch;  // the same bits; the fused kernels have tests of their own
  NormLayer norm(options, 4, nullptr);
  torch::nn::BatchNorm2d reference(4);
  const auto x = images(3, 2);
  const auto y = norm->forward(x);
  const auto expected = reference->forward(x);
  norm->running_mean.lerp_(norm->batch_mean, kNormMomentum);
  norm->running_var.lerp_(norm->batch_var, kNormMomentum);
  EXPECT_TRUE(y.equal(expected));
  EXPECT_LT(relative_error(norm->running_mean, reference->running_mean), 1e-6);
  EXPECT_LT(relative_error(norm->running_var, reference->running_var), 1e-6);
  norm->eval();
  reference->eval();
  EXPECT_LT(relative_error(norm->forward(x), reference->forward(x)), 1e-6);
}

TEST(NormLayerTest, StatisticsOfABatchThatIsNotFiniteDoNotStick) {
  NormLayer norm(options_for(Norm::kBatch), 4, nullptr);
  norm->forward(torch::full({2, 4, 3, 5}, std::numeric_limits<float>::quiet_NaN()));
  ASSERT_TRUE(norm->batch_mean.isnan().all().item<bool>());
  norm->forward(images(2, 3));
  EXPECT_TRUE(norm->batch_mean.isfinite().all().item<bool>());
  EXPECT_TRUE(norm->batch_var.isfinite().all().item<bool>());
}

TEST(NormLayerTest, OneValuePerChannelHasNoVariance) {
  dist::SingleCommunicator single;
  for (const Norm kind : {Norm::kBatch, Norm::kSyncBatch}) {
    NormLayer norm(options_for(kind), 4, &single);
    const auto x = torch::tensor({1.0F, -2.0F, 3.0F, 5.0F}).view({1, 4, 1, 1}).requires_grad_();
    const auto y = norm->forward(x);
    y.sum().backward();
    EXPECT_LT(y.abs().max().item<double>(), 1e-3);  // x - mean, rounded, times 1 / sqrt(epsilon)
    EXPECT_TRUE(x.grad().equal(torch::zeros({1, 4, 1, 1})));
    EXPECT_TRUE(norm->batch_mean.equal(x.detach().view({4})));
    EXPECT_TRUE(norm->batch_var.equal(torch::zeros({4})));
  }
}

TEST(NormLayerTest, TwoForwardsMayComeBeforeTheirBackward) {
  dist::SingleCommunicator single;
  for (const Norm kind : {Norm::kBatch, Norm::kSyncBatch, Norm::kGroup}) {
    NormLayer norm(options_for(kind), 4, &single);
    const auto first = norm->forward(images(3, 4)), second = norm->forward(images(2, 5));
    (first.square().sum() + second.square().sum()).backward();
    const auto joint = norm->weight.grad().clone();
    norm->zero_grad();
    norm->forward(images(3, 4)).square().sum().backward();
    norm->forward(images(2, 5)).square().sum().backward();
    EXPECT_LT(relative_error(joint, norm->weight.grad()), 1e-6);
  }
}

TEST(NormLayerTest, GroupNormIsPyTorchsAndHasNoStatistics) {
  NormLayer norm(options_for(Norm::kGroup), 4, nullptr);
  torch::nn::GroupNorm reference(torch::nn::GroupNormOptions(2, 4));
  const auto x = images(3, 6);
  EXPECT_LT(relative_error(norm->forward(x), reference->forward(x)), 1e-6);
  EXPECT_FALSE(norm->has_statistics());
  EXPECT_TRUE(norm->buffers().empty());
  norm->eval();
  EXPECT_LT(relative_error(norm->forward(x), reference->forward(x)), 1e-6);
}

TEST(NormLayerTest, GroupsThatDoNotDivideTheChannelsAreAConfigurationError) {
  for (const int groups : {3, 8, 0, -1}) {
    EXPECT_THROW(NormLayer(options_for(Norm::kGroup, groups), 4, nullptr), ConfigError) << groups;
  }
}

TEST(NormLayerTest, AnEmptyBatchGivesNoOutputAndZeroGradients) {
  dist::SingleCommunicator single;
  for (const Norm kind : {Norm::kBatch, Norm::kSyncBatch, Norm::kGroup}) {
    NormLayer norm(options_for(kind), 4, &single);
    const auto x = torch::empty({0, 4, 3, 5}).requires_grad_();
    const auto y = norm->forward(x);
    EXPECT_EQ(y.sizes(), x.sizes());
    y.sum().backward();
    EXPECT_EQ(x.grad().sizes(), x.sizes());
    EXPECT_TRUE(norm->weight.grad().equal(torch::zeros({4})));
    EXPECT_TRUE(norm->bias.grad().equal(torch::zeros({4})));
  }
}

TEST(NormLayerTest, KeepsDtypeAndMemoryFormatOfABfloat16Input) {
  dist::SingleCommunicator single;
  for (const Norm kind : {Norm::kBatch, Norm::kSyncBatch, Norm::kGroup}) {
    NormLayer norm(options_for(kind), 4, &single);
    const auto x = images(8, 7).to(torch::kBFloat16).requires_grad_();
    const auto y = norm->forward(x);
    y.square().sum().backward();
    EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
    EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
    EXPECT_EQ(x.grad().scalar_type(), torch::kBFloat16);
    EXPECT_EQ(norm->weight.grad().scalar_type(), torch::kFloat32);
    if (!norm->has_statistics()) continue;
    EXPECT_EQ(norm->batch_mean.scalar_type(), torch::kFloat32);
    EXPECT_LT(relative_error(norm->batch_mean, x.detach().to(torch::kFloat32).mean({0, 2, 3})), 1e-5);
    EXPECT_LT(relative_error(norm->batch_var, x.detach().to(torch::kFloat32).var({0, 2, 3}, true)), 1e-5);
  }
}

}  // namespace
}  // namespace rn::model
