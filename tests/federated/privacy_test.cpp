#include "federated/privacy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "federation_rig.h"

namespace rn::federated::testing {
namespace {

FederatedOptions private_options() {
  FederatedOptions options;
  options.clients = 1000;
  options.cohort = 100;
  options.privacy = "central";
  options.weighting = "uniform";
  options.sampling = "poisson";
  options.clip_update = 1;
  return options;
}

TEST(PrivacyNoiseTest, HasItsDeviationAndLeavesPaddingAlone) {
  std::vector<float> values(60000, 0.0F);
  const std::vector<Slice> slices = {{0, 20000}, {30000, 20000}};
  add_privacy_noise(values, slices, 3.0, /*seed=*/1, /*round=*/4, kServer);
  double squares = 0, sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool inside = i < 20000 || (i >= 30000 && i < 50000);
    if (!inside) {
      ASSERT_EQ(values[i], 0) << i;
    }
    sum += values[i];
    squares += double{values[i]} * values[i];
  }
  EXPECT_NEAR(std::sqrt(squares / 40000), 3, 0.05);
  EXPECT_NEAR(sum / 40000, 0, 0.06);
  std::vector<float> again(60000, 0.0F), other(60000, 0.0F);
  add_privacy_noise(again, slices, 3.0, 1, 4, kServer);
  add_privacy_noise(other, slices, 3.0, 1, 5, kServer);
  EXPECT_EQ(again, values);
  EXPECT_NE(other, values);
}

TEST(PrivacyAccountTest, ReachesItsTargetAndNamesItsSampling) {
  auto options = private_options();
  options.target_epsilon = 4;
  for (const char* sampling : {"poisson", "uniform"}) {
    options.sampling = sampling;
    const PrivacyAccount account(options, 100);
    EXPECT_GT(account.noise_multiplier(), 0);
    EXPECT_LE(account.epsilon(options.rounds), 4) << sampling;
    EXPECT_GT(account.epsilon(options.rounds), 3.9) << sampling;
    EXPECT_LT(account.epsilon(1), account.epsilon(options.rounds)) << sampling;
  }
}

TEST(PrivacyAccountTest, TheBoundFollowsItsQuantile) {
  auto options = private_options();
  options.adaptive_clip = true;
  options.noise_multiplier = 0;
  const PrivacyAccount account(options, 100);
  // clip * exp(-0.2 (b - 0.5)), Andrew et al. 2021.
  EXPECT_NEAR(account.next_clip(2, 100, 100, 1, 1), 2 * std::exp(-0.1), 1e-12);
  EXPECT_NEAR(account.next_clip(2, 0, 100, 1, 1), 2 * std::exp(0.1), 1e-12);
  options.noise_multiplier = 1;
  EXPECT_NEAR(PrivacyAccount(options, 100).sum_noise_multiplier(), 1 / std::sqrt(1 - 1.0 / (10 * 10)), 1e-12);
}

// With noise far above the updates, what the server adds has the deviation z C / m.
TEST(CentralPrivacyTest, TheServersStepHasTheNoiseThatIsPromised) {
  RigOptions rig;
  rig.dtype = torch::kFloat32;
  rig.federated.privacy = "central";
  rig.federated.weighting = "uniform";
  rig.federated.clip_update = 0.001;
  rig.federated.noise_multiplier = 200;
  Rig run(rig);
  const auto before = run.weights();
  run.round();
  EXPECT_NEAR((run.weights() - before).std().item<double>(), 200 * 0.001 / 4, 0.001);
}

TEST(LocalNormsTest, NormLayersStayWithTheClientsAndTheServersStay) {
  RigOptions rig;
  rig.model = "resnet9";
  rig.dtype = torch::kFloat32;
  rig.federated.local_norms = true;
  Rig run(rig);
  const auto before = run.state.weights.clone();
  run.round();
  bool some_norm = false;
  for (const auto& entry : run.params.layout().entries()) {
    const bool is_norm = entry.spec.name.find(".bn.") != std::string::npos;
    const auto old = run.params.view(before, entry), now = run.params.view(run.state.weights, entry);
    EXPECT_EQ(torch::equal(old, now), is_norm) << entry.spec.name;
    some_norm = some_norm || is_norm;
  }
  EXPECT_TRUE(some_norm);
  const auto first = run.row.norms_of(run.clients.take(0)), second = run.row.norms_of(run.clients.take(1));
  EXPECT_FALSE(torch::equal(first, second));
}

}  // namespace
}  // namespace rn::federated::testing
