#include "model/init.h"

#include <gtest/gtest.h>

#include <cmath>

#include "model/factory.h"
#include "model_testing.h"

namespace rn::model {
namespace {

std::shared_ptr<Network> resnet18(std::uint64_t seed) { return make_network({}, 10, seed, nullptr); }

TEST(InitTest, WeightsDependOnTheSeedOnly) {
  torch::manual_seed(1);
  const auto first = resnet18(5);
  torch::manual_seed(2);
  const auto second = resnet18(5), other = resnet18(6);
  const auto again = second->named_parameters(), differing = other->named_parameters();
  for (const auto& item : first->named_parameters()) {
    EXPECT_TRUE(item.value().equal(again[item.key()])) << item.key();
    if (item.value().dim() > 1 || item.key() == "fc.bias") {
      EXPECT_FALSE(item.value().equal(differing[item.key()])) << item.key();
    }
  }
}

TEST(InitTest, ConvolutionsAreKaimingNormalByFanOut) {
  for (const auto& item : resnet18(7)->named_parameters()) {
    const auto& weight = item.value();
    if (weight.dim() != 4) continue;
    const double n = static_cast<double>(weight.numel());
    const double expected =
        std::sqrt(2.0 / static_cast<double>(weight.size(0) * weight.size(2) * weight.size(3)));
    // Five standard errors of a normal sample's deviation, mean and kurtosis.
    EXPECT_NEAR(weight.std().item<double>() / expected, 1.0, 5.0 / std::sqrt(2 * n)) << item.key();
    EXPECT_NEAR(weight.mean().item<double>() / expected, 0.0, 5.0 / std::sqrt(n)) << item.key();
    EXPECT_NEAR((weight / expected).pow(4).mean().item<double>(), 3.0, 5.0 * std::sqrt(96.0 / n))
        << item.key();
    EXPECT_TRUE(weight.is_contiguous(at::MemoryFormat::ChannelsLast)) << item.key();
  }
}

TEST(InitTest, LinearLayersAreUniformByFanIn) {
  const auto net = resnet18(8);
  const double bound = 1.0 / std::sqrt(512.0);
  for (const char* name : {"fc.weight", "fc.bias"}) {
    const auto values = net->named_parameters()[name].abs() / bound;
    EXPECT_LE(values.max().item<double>(), 1.0) << name;
    EXPECT_GT(values.max().item<double>(), 0.7) << name;
  }
  const double n = 5120;
  EXPECT_NEAR((net->named_parameters()["fc.weight"].abs() / bound).mean().item<double>(), 0.5,
              5 * std::sqrt(1.0 / 12 / n));
}

TEST(InitTest, NormsStartAsTheIdentity) {
  const auto net = resnet18(9);
  for (const auto& item : net->named_parameters()) {
    if (item.value().dim() != 1 || item.key() == "fc.bias") continue;
    const double expected = item.key().ends_with("weight") ? 1 : 0;
    EXPECT_TRUE(item.value().eq(expected).all().item<bool>()) << item.key();
  }
}

}  // namespace
}  // namespace rn::model
