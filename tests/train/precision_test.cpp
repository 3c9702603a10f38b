#include "train/precision.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "train_testing.h"

namespace rn::train {
namespace {

TEST(LossScalerTest, GrowsAndBacksOffAsPyTorchsGradScaler) {
  std::ifstream file(RN_TEST_DATA_DIR "/train/loss_scale.json");
  const auto golden = nlohmann::json::parse(file).at("sequence");
  ASSERT_GE(golden.size(), 10U);
  LossScaler scaler(Precision::kFP16, torch::kCPU);
  EXPECT_TRUE(scaler.enabled());
  for (const auto& row : golden) {
    for (int i = 0; i < row.at("steps").get<int>(); ++i) {
      auto gradient = torch::ones({2});
      if (!row.at("finite").get<bool>()) gradient[1] = std::numeric_limits<float>::infinity();
      const auto unscaled = scaler.unscale(gradient);
      scaler.update(unscaled.found_inf);
    }
    EXPECT_EQ(scaler.scale.item<double>(), row.at("scale").get<double>()) << row;
    EXPECT_EQ(scaler.growth_tracker.item<int>(), row.at("growth").get<int>()) << row;
  }
}

TEST(LossScalerTest, UnscaleGivesTheGradientOfTheUnscaledLossAndItsNorm) {
  LossScaler scaler(Precision::kFP16, torch::kCPU);
  const auto loss = torch::tensor(3.0F);
  EXPECT_EQ(scaler.scale_loss(loss).item<float>(), 3.0F * 65536.0F);
  auto gradient = torch::tensor({3.0F, -4.0F}) * scaler.scale;
  const auto [found_inf, norm] = scaler.unscale(gradient);
  EXPECT_TRUE(gradient.equal(torch::tensor({3.0F, -4.0F})));
  EXPECT_EQ(norm.item<float>(), 5.0F);
  EXPECT_EQ(found_inf.item<float>(), 0.0F);
}

TEST(LossScalerTest, FindsEveryKindOfNumberThatIsNotFinite) {
  for (const Precision precision : {Precision::kFP32, Precision::kFP16}) {
    for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
      LossScaler scaler(precision, torch::kCPU);
      auto gradient = torch::ones({1000});
      gradient[999] = bad;
      EXPECT_EQ(scaler.unscale(gradient).found_inf.item<float>(), 1.0F) << bad;
    }
  }
}

TEST(LossScalerTest, WithoutFp16TheScaleIsOneAndStays) {
  LossScaler scaler(Precision::kBF16, torch::kCPU);
  EXPECT_FALSE(scaler.enabled());
  const auto loss = torch::tensor(3.0F);
  EXPECT_EQ(scaler.scale_loss(loss).item<float>(), 3.0F);
  auto gradient = torch::tensor({3.0F, 4.0F});
  EXPECT_EQ(scaler.unscale(gradient).norm.item<float>(), 5.0F);
  scaler.update(torch::ones({1}));
  EXPECT_EQ(scaler.scale.item<float>(), 1.0F);
}

TEST(AutocastScopeTest, SetsItsDtypeAndPutsTheStateBack) {
  for (const auto& [precision, dtype] : {std::pair{Precision::kFP32, torch::kFloat32},
                                         {Precision::kBF16, torch::kBFloat16},
                                         {Precision::kFP16, torch::kHalf}}) {
    {
      const AutocastScope scope(precision, torch::kCPU);
      EXPECT_EQ(torch::mm(torch::ones({4, 4}), torch::ones({4, 4})).scalar_type(), dtype);
    }
    EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
  }
}

TEST(AutocastScopeTest, AnInPlaceUpdateOfAWeightIsSeenByTheNextScope) {
  const auto weight = torch::ones({4, 4}).requires_grad_();
  const auto input = torch::ones({4, 4});
  const auto forward = [&] {
    const AutocastScope scope(Precision::kBF16, torch::kCPU);
    return torch::mm(input, weight).detach().to(torch::kFloat32);
  };
  EXPECT_TRUE(forward().equal(torch::full({4, 4}, 4.0F)));
  {
    const torch::NoGradGuard no_grad;
    weight.mul_(2);
  }
  EXPECT_TRUE(forward().equal(torch::full({4, 4}, 8.0F)));
}

TEST(PrecisionTest, AChoiceIsKeptAndAutoResolvesToOneThatTheCpuHas) {
  EXPECT_EQ(resolve_precision(PrecisionChoice::kFP32, torch::kCPU), Precision::kFP32);
  EXPECT_EQ(resolve_precision(PrecisionChoice::kBF16, torch::kCPU), Precision::kBF16);
  EXPECT_EQ(resolve_precision(PrecisionChoice::kFP16, torch::kCPU), Precision::kFP16);
  EXPECT_NE(resolve_precision(PrecisionChoice::kAuto, torch::kCPU), Precision::kFP16);
}

}  // namespace
}  // namespace rn::train
