#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "federated/privacy.h"

namespace rn::federated {
namespace {

FederatedOptions private_options(const std::string& sampling) {
  FederatedOptions options;
  options.privacy = "central";
  options.sampling = sampling;
  options.clients = 1000;
  options.rounds = 200;
  options.noise_multiplier = 1.5;
  return options;
}

TEST(PrivacyAccountTest, SpendsWhatTheAccountantSays) {
  const PrivateRounds rounds = {1.5, 0.05, 200};
  EXPECT_DOUBLE_EQ(PrivacyAccount(private_options("poisson"), 50).epsilon(200),
                   epsilon_of(PrivacySampling::kPoisson, rounds, 1e-5));
  EXPECT_DOUBLE_EQ(PrivacyAccount(private_options("uniform"), 50).epsilon(200),
                   epsilon_of(PrivacySampling::kWithoutReplacement, rounds, 1e-5));
}

TEST(PrivacyAccountTest, ATargetIsReachedAndNotOvershot) {
  for (const std::string sampling : {"poisson", "uniform"}) {
    auto options = private_options(sampling);
    options.target_epsilon = 3;
    const PrivacyAccount account(options, 50);
    EXPECT_LE(account.epsilon(200), 3) << sampling;
    EXPECT_GT(account.epsilon(200), 2.99) << sampling;
    EXPECT_LT(account.epsilon(100), account.epsilon(200)) << sampling;
  }
}

TEST(PrivacyAccountTest, LocalNoiseIsNotAmplifiedBySampling) {
  auto options = private_options("poisson");
  options.privacy = "local";
  EXPECT_DOUBLE_EQ(PrivacyAccount(options, 50).epsilon(3),
                   epsilon_of(PrivacySampling::kPoisson, {1.5, 1.0, 3}, 1e-5));
}

TEST(PrivacyAccountTest, TheCountOfAnAdaptiveBoundCostsAPartOfTheNoise) {
  auto options = private_options("poisson");
  EXPECT_EQ(PrivacyAccount(options, 200).sum_noise_multiplier(), 1.5);
  options.adaptive_clip = true;
  const double sum = PrivacyAccount(options, 200).sum_noise_multiplier();
  EXPECT_NEAR(std::pow(sum, -2) + std::pow(2 * 10.0, -2), std::pow(1.5, -2), 1e-12);  // 200 / 20 on the count
  EXPECT_THROW(PrivacyAccount(options, 10).sum_noise_multiplier(), ConfigError);
}

TEST(PrivacyAccountTest, TheBoundFollowsTheQuantile) {
  auto options = private_options("poisson");
  options.adaptive_clip = true;
  options.noise_multiplier = 0;  // then the count is exact
  const PrivacyAccount account(options, 50);
  EXPECT_DOUBLE_EQ(account.next_clip(2, 40, 50, 1, 0), 2 * std::exp(-0.2 * (0.8 - 0.5)));
  EXPECT_DOUBLE_EQ(account.next_clip(2, 0, 50, 1, 0), 2 * std::exp(0.2 * 0.5));
  EXPECT_EQ(account.next_clip(2, 0, 0, 1, 0), 2);
}

TEST(PrivacyNoiseTest, HasItsDeviationAndLeavesPaddingAlone) {
  const std::vector<Slice> tensors = {{0, 20000}, {20016, 20000}};
  std::vector<float> values(40016, 0.0F);
  add_privacy_noise(values, tensors, 0.25, 3, 1, kServer);
  double sum = 0, squares = 0;
  for (const float value : values) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  EXPECT_NEAR(sum / 40000, 0, 5 * 0.25 / std::sqrt(40000));
  EXPECT_NEAR(std::sqrt(squares / 40000), 0.25, 0.005);
  for (std::size_t i = 20000; i < 20016; ++i) EXPECT_EQ(values[i], 0.0F);

  std::vector<float> again(40016, 0.0F), other(40016, 0.0F);
  add_privacy_noise(again, tensors, 0.25, 3, 1, kServer);
  add_privacy_noise(other, tensors, 0.25, 3, 2, kServer);
  EXPECT_EQ(values, again);
  EXPECT_NE(values, other);
}

}  // namespace
}  // namespace rn::federated
