#include "federated/rdp_accountant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace rn::federated {
namespace {

constexpr auto kPoisson = PrivacySampling::kPoisson;
constexpr auto kFixed = PrivacySampling::kWithoutReplacement;

TEST(RdpAccountantTest, AgreesWithDpAccounting) {
  const auto golden = nlohmann::json::parse(std::ifstream(RN_TEST_DATA_DIR "/federated/privacy.json"));
  ASSERT_EQ(golden.at("cases").size(), 432U);
  for (const auto& example : golden.at("cases")) {
    const bool poisson = example.at("sampling") == "poisson";
    const double noise = example.at("noise_over_sensitivity");
    const PrivateRounds rounds = {poisson ? noise : 2 * noise, example.at("rate"), example.at("rounds")};
    const double expected = example.at("epsilon");
    // Without replacement the bound rests on high differences, which both programs know to some digits only.
    const double tolerance = poisson ? 1e-6 : 1e-2;
    EXPECT_NEAR(epsilon_of(poisson ? kPoisson : kFixed, rounds, example.at("delta")), expected,
                tolerance * expected + 1e-9)
        << example;
  }
}

TEST(RdpAccountantTest, WithoutSubsamplingIsTheGaussianMechanism) {
  // Rényi divergence of order a: a * rounds / (2 sigma^2); the conversion minimised by hand over a fine grid.
  double best = INFINITY;
  for (double order = 1.01; order < 200; order += 0.001) {
    best = std::min(best,
                    order * 10 / (2 * 25.0) + std::log1p(-1 / order) - std::log(1e-5 * order) / (order - 1));
  }
  EXPECT_NEAR(epsilon_of(kPoisson, {5.0, 1.0, 10}, 1e-5), best, 1e-3 * best);
}

TEST(RdpAccountantTest, RoundsAddUp) {
  RdpAccountant accountant(kPoisson);
  for (int i = 0; i < 10; ++i) accountant.add({1.1, 0.02, 30});
  EXPECT_NEAR(accountant.epsilon(1e-6), epsilon_of(kPoisson, {1.1, 0.02, 300}, 1e-6), 1e-9);
}

TEST(RdpAccountantTest, MoreNoiseFewerRoundsAndFewerClientsSpendLess) {
  for (const auto sampling : {kPoisson, kFixed}) {
    const double spent = epsilon_of(sampling, {2.0, 0.02, 300}, 1e-5);
    EXPECT_LT(epsilon_of(sampling, {2.5, 0.02, 300}, 1e-5), spent);
    EXPECT_LT(epsilon_of(sampling, {2.0, 0.01, 300}, 1e-5), spent);
    EXPECT_LT(epsilon_of(sampling, {2.0, 0.02, 200}, 1e-5), spent);
    EXPECT_LT(epsilon_of(sampling, {2.0, 0.02, 300}, 1e-4), spent);
  }
}

TEST(RdpAccountantTest, ReplacingAClientIsHarderToHideThanAddingOne) {
  EXPECT_GT(epsilon_of(kFixed, {2.0, 0.02, 300}, 1e-5), epsilon_of(kPoisson, {2.0, 0.02, 300}, 1e-5));
}

TEST(RdpAccountantTest, TheEndsOfTheRange) {
  EXPECT_EQ(RdpAccountant(kPoisson).epsilon(1e-5), 0);
  EXPECT_EQ(epsilon_of(kPoisson, {1.0, 0.0, 100}, 1e-5), 0);
  EXPECT_EQ(epsilon_of(kPoisson, {1.0, 0.1, 0}, 1e-5), 0);
  EXPECT_TRUE(std::isinf(epsilon_of(kPoisson, {0.0, 0.1, 1}, 1e-5)));
  EXPECT_TRUE(std::isinf(epsilon_of(kFixed, {0.0, 0.1, 1}, 1e-5)));
}

TEST(NoiseMultiplierTest, IsTheLeastThatKeepsToTheTarget) {
  for (const auto sampling : {kPoisson, kFixed}) {
    for (const double target : {0.5, 2.0, 10.0}) {
      const double noise = noise_multiplier_for(sampling, target, 1e-6, 0.05, 1500);
      EXPECT_LE(epsilon_of(sampling, {noise, 0.05, 1500}, 1e-6), target);
      EXPECT_GT(epsilon_of(sampling, {noise * 0.999, 0.05, 1500}, 1e-6), target);
    }
  }
}

TEST(NoiseMultiplierTest, RefusesTheImpossible) {
  EXPECT_THROW(noise_multiplier_for(kPoisson, 1e-9, 1e-12, 1.0, 1000000), ConfigError);
}

TEST(RdpAccountantTest, NamesItsSampling) {
  EXPECT_NE(name_of(kPoisson).find("Poisson"), std::string_view::npos);
  EXPECT_NE(name_of(kFixed).find("without replacement"), std::string_view::npos);
}

}  // namespace
}  // namespace rn::federated
