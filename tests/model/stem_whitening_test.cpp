#include "model/stem_whitening.h"

#include <gtest/gtest.h>

#include "model/factory.h"

namespace rn::model {
namespace {

std::shared_ptr<Network> small_net() {
  ModelOptions options;
  options.width = 64;
  return make_network(options, 10, /*seed=*/1, nullptr);
}

// Neighbouring pixels and channels that go together, as in pictures.
torch::Tensor smooth_images() {
  torch::manual_seed(3);
  const auto noise = torch::randn({64, 3, 20, 20});
  return at::avg_pool2d(noise, 3, 1) * 3 + noise.narrow(2, 0, 18).narrow(3, 0, 18).mean(1, true);
}

TEST(StemWhiteningTest, OutputsAreUncorrelatedWithVarianceOne) {
  const auto net = small_net();
  const auto images = smooth_images();
  const auto drawn = net->named_parameters()["conv1.weight"].clone();
  whiten_stem(*net, images);
  const auto weight = net->named_parameters()["conv1.weight"];
  ASSERT_EQ(weight.size(0), 64);
  constexpr std::int64_t kComponents = 27;
  const torch::NoGradGuard no_grad;
  const auto outputs = at::conv2d(images, weight).transpose(0, 1).flatten(1).to(torch::kFloat64);
  const auto plus = outputs.narrow(0, 0, kComponents);
  const auto moments = plus.mm(plus.t()) / static_cast<double>(plus.size(1));
  // The floor under the variances takes a little from the smallest ones; float32 sums take the rest.
  EXPECT_LT((moments - torch::eye(kComponents, torch::kFloat64)).abs().max().item<double>(), 0.02);
  EXPECT_TRUE(weight.narrow(0, kComponents, kComponents).equal(-weight.narrow(0, 0, kComponents)));
  EXPECT_TRUE(weight.narrow(0, 2 * kComponents, 10).equal(drawn.narrow(0, 2 * kComponents, 10)));
  EXPECT_FALSE(weight.requires_grad());
  EXPECT_TRUE(weight.is_contiguous(at::MemoryFormat::ChannelsLast));
}

TEST(StemWhiteningTest, FewFiltersTakeTheLargestComponents) {
  ModelOptions options;
  options.width = 8;
  options.stem = "imagenet";  // 7x7: 147 components for 8 filters
  const auto net = make_network(options, 10, 1, nullptr);
  const auto images = smooth_images();
  whiten_stem(*net, images);
  const torch::NoGradGuard no_grad;
  const auto weight = net->named_parameters()["conv1.weight"];
  // The larger a component's variance, the smaller the filter that brings it to 1.
  const auto norms = weight.narrow(0, 0, 4).flatten(1).norm(2, 1);
  for (int i = 1; i < 4; ++i) EXPECT_GE(norms[i].item<float>(), norms[i - 1].item<float>()) << i;
  const auto outputs = at::conv2d(images, weight).transpose(0, 1).flatten(1);
  EXPECT_LT((outputs.narrow(0, 0, 4).square().mean(1) - 1).abs().max().item<float>(), 0.01);
}

}  // namespace
}  // namespace rn::model
