#include "federated/algorithm.h"

#include <cmath>

#include "core/error.h"
#include "federated/exact_sum.h"
#include "federation_rig.h"

namespace rn::federated::testing {
namespace {

// Two clients whose losses curvature_i / 2 (y - optimum_i)^2 pull apart, every element alike. Returns where
// the server ends, as a distance from the minimiser of the mean loss. `sign`: -1 flips the gradient's
// correction. `momentum`: of the clients' steps.
double distance_after(const std::string& algorithm, int rounds, double sign = 1, double momentum = 0) {
  constexpr double kLr = 0.1;
  constexpr int kSteps = 10;
  constexpr double kCurvature[] = {1.0, 0.2}, kOptimum[] = {1.0, -1.0};
  constexpr double kMinimiser = (1.0 * 1.0 - 0.2 * 1.0) / (1.0 + 0.2);
  RigOptions options;
  options.federated.algorithm = algorithm;
  options.federated.clients = 2;
  options.federated.cohort = 2;
  options.federated.mu = algorithm == "feddyn" ? 0.5 : 0;
  options.local.optimizer.momentum = momentum;
  options.sizes = {1, 1};
  Rig rig(options);  // its trainer is needed by make_algorithm only
  torch::nn::Linear few(2, 2);
  few->to(torch::kFloat64);
  model::FlatParameters params(*few, rig.communicator, 1024);
  const auto server = make_algorithm(options.federated, options.local.optimizer, params, rig.trainer);
  const torch::NoGradGuard no_grad;
  auto x = torch::zeros_like(params.weights);
  std::vector<torch::Tensor> states(2, torch::zeros_like(x));
  states[1] = states[1].clone();
  for (int round = 0; round < rounds; ++round) {
    auto sum = torch::zeros_like(x), variates = torch::zeros_like(x);
    for (int i = 0; i < 2; ++i) {
      LocalTask task;
      task.lr = kLr;
      const auto correction = server->before(x, task, states[static_cast<std::size_t>(i)]);
      auto y = x.clone(), velocity = torch::zeros_like(x);
      for (int step = 0; step < kSteps; ++step) {
        auto gradient = kCurvature[i] * (y - kOptimum[i]);
        if (correction.offset.defined()) gradient += sign * correction.offset;
        if (correction.mu > 0) gradient += correction.mu * (y - correction.centre);
        velocity = momentum * velocity + gradient;
        y -= kLr * velocity;
      }
      const auto contribution =
          server->after(y - x, task, {.steps = kSteps}, states[static_cast<std::size_t>(i)]);
      sum += (y - x) / 2 * contribution.factor;
      if (contribution.variate.defined()) variates += contribution.variate / 2;
    }
    RoundMeans means;
    means.round = round;
    means.clients = 2;
    means.update = sum;
    means.variate = variates;
    server->apply(x, means);
  }
  return std::fabs(x[0].item<double>() - kMinimiser);
}

TEST(OpposedQuadraticsTest, FedAvgStopsBesideTheOptimumAndScaffoldReachesIt) {
  EXPECT_GT(distance_after("fedavg", 500), 0.05);
  EXPECT_LT(distance_after("scaffold", 500), 1e-9);
}

TEST(OpposedQuadraticsTest, ScaffoldReachesTheOptimumWithMomentumToo) {
  for (const double momentum : {0.5, 0.9}) {
    EXPECT_GT(distance_after("fedavg", 500, 1, momentum), 0.05) << momentum;
    EXPECT_LT(distance_after("scaffold", 500, 1, momentum), 1e-9) << momentum;
  }
}

TEST(OpposedQuadraticsTest, FedDynReachesTheOptimum) { EXPECT_LT(distance_after("feddyn", 500), 1e-6); }

// The fault of published implementations: c_i - c instead of c - c_i.
TEST(OpposedQuadraticsTest, AFlippedCorrectionWouldBeSeen) {
  const double flipped = distance_after("scaffold", 500, -1);
  EXPECT_FALSE(flipped < 0.05) << flipped;
}

TEST(NovaNormTest, IsThePapersCoefficients) {
  for (const std::int64_t steps : {1, 2, 7, 40}) {
    EXPECT_DOUBLE_EQ(nova_norm(steps, 0.1, 0, false, 0), static_cast<double>(steps));
    const double rho = 0.9, n = static_cast<double>(steps);
    EXPECT_NEAR(nova_norm(steps, 0.1, rho, false, 0),
                (n - rho * (1 - std::pow(rho, n)) / (1 - rho)) / (1 - rho), 1e-12 * n);
    const double a = 0.1 * 0.5;
    EXPECT_NEAR(nova_norm(steps, 0.1, 0, false, 0.5), (1 - std::pow(1 - a, n)) / a, 1e-12 * n);
  }
}

// With equal steps nothing is left to normalise.
TEST(FedNovaTest, IsFedAvgWhereAllTakeTheSameSteps) {
  RigOptions options;
  options.sizes = {10, 10, 10, 10};
  options.local.optimizer.momentum = 0.9;
  options.federated.algorithm = "fednova";
  Rig nova(options);
  options.federated.algorithm = "fedavg";
  Rig avg(options);
  for (int round = 0; round < 2; ++round) {
    nova.round();
    avg.round();
  }
  EXPECT_LT((nova.weights() - avg.weights()).abs().max().item<double>(), 1e-10);
}

TEST(FedAvgTest, OneLocalStepIsOneStepOnTheJoinedBatch) {
  RigOptions options;
  options.local.batch = 15;  // every client's images in one batch
  Rig clients(options);
  options.sizes = {40};
  options.federated.clients = 1;
  options.federated.cohort = 1;
  options.local.batch = 40;
  Rig joined(options);
  clients.round();
  joined.round();
  EXPECT_LT((clients.weights() - joined.weights()).abs().max().item<double>(), 1e-11);
}

TEST(FedAvgTest, OneClientWithAllDataIsOrdinaryTraining) {
  RigOptions options;
  options.sizes = {23};
  options.federated.clients = 1;
  options.federated.cohort = 1;
  options.local.optimizer.momentum = 0.9;
  options.federated.local_epochs = 3;
  Rig server(options), plain(options);
  server.round();
  const std::vector<std::uint32_t> images = {plain.partition.of(0).begin(), plain.partition.of(0).end()};
  plain.trainer.train({.images = images, .steps = 15, .lr = 0.05}, {});
  // Up to the rounding of the update to the grid of exact sums.
  EXPECT_LT((server.params.weights - plain.params.weights).abs().max().item<double>(), 2 * kExactGrid);
  EXPECT_GT((server.state.weights - Rig(options).state.weights).abs().max().item<double>(), 1e-3);
}

TEST(FederationTest, ABadUpdateIsLeftOutOrStopsTheRun) {
  RigOptions options;
  options.local.optimizer.lr = 1e30;
  Rig skips(options);
  const auto before = skips.weights();
  const auto result = skips.round();
  EXPECT_EQ(result.clients, 0);
  EXPECT_EQ(result.skipped, 4);
  EXPECT_TRUE(torch::equal(skips.weights(), before));
  options.federated.on_bad_update = "stop";
  Rig stops(options);
  try {
    stops.round();
    ADD_FAILURE() << "no error";
  } catch (const NonFiniteError& error) {
    EXPECT_NE(std::string(error.what()).find("round 1, client "), std::string::npos) << error.what();
  }
}

TEST(ExactSumTest, DoesNotDependOnTheOrder) {
  torch::manual_seed(7);
  const auto values = torch::randn({64, 1000}) * torch::randn({64, 1}).exp();
  auto forward = torch::zeros({1000}, torch::kFloat64), backward = forward.clone(), halves = forward.clone();
  auto second = forward.clone();
  for (int i = 0; i < 64; ++i) {
    add_exactly(values[i], 1.0 / (i + 3), forward);
    add_exactly(values[63 - i], 1.0 / (66 - i), backward);
    add_exactly(values[i], 1.0 / (i + 3), i % 3 == 0 ? halves : second);
  }
  EXPECT_TRUE(torch::equal(forward, backward));
  EXPECT_TRUE(torch::equal(forward, halves + second));
  const auto scale = 1.0 / (torch::arange(64, torch::kFloat64) + 3);
  const auto exact = (values.to(torch::kFloat64) * scale.unsqueeze(1)).sum(0);
  EXPECT_LT((forward - exact).abs().max().item<double>(), 64 * kExactGrid);
}

}  // namespace
}  // namespace rn::federated::testing
