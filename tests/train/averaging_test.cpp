#include "train/averaging.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "small_parameters.h"

namespace rn::train {
namespace {

using testing::GoldenFile;
using testing::same_bits;
using testing::SmallParameters;

TEST(AveragingTest, EmaFollowsItsFormulaWithTheWarmedUpDecay) {
  SmallParameters small(GoldenFile("optimizer"), torch::kFloat64, 64);
  const torch::NoGradGuard no_grad;
  EmaOptions options;
  options.enabled = true;
  options.decay = 0.4;  // reached after 5 updates: both branches of the minimum
  options.every_steps = 2;
  Ema ema(options, small.params);
  auto expected = small.params.weights.clone();
  std::int64_t updates = 0;
  for (std::int64_t step = 1; step <= 20; ++step) {
    small.params.weights.add_(0.1 * static_cast<double>(step));
    ema.update(step, small.params);
    if (step % 2 == 0) {
      const double decay =
          std::min(0.4, (1.0 + static_cast<double>(updates)) / (10.0 + static_cast<double>(updates)));
      expected = expected * decay + small.params.weights * (1 - decay);
      ++updates;
    }
    EXPECT_LT(testing::relative_error(ema.weights, expected), 1e-14) << "step " << step;
    EXPECT_EQ(ema.updates, updates);
  }
}

TEST(AveragingTest, SwaEqualsPyTorchsAveragedModel) {
  const GoldenFile golden("optimizer");
  SmallParameters small(golden, torch::kFloat64, 64);
  OptimizerOptions options;
  options.momentum = 0.9;
  options.nesterov = true;
  options.weight_decay = 5e-3;  // the golden case "nesterov"
  Sgd sgd(options, small.params);
  Swa swa(small.params);
  for (std::int64_t step = 0; step < 50; ++step) {
    small.set_gradients(golden, step);
    sgd.step(0.1 / (1.0 + static_cast<double>(step) / 10.0), torch::zeros({1}));
    if (step % 10 != 9) continue;
    swa.snapshot(small.params);
    if (step == 9) {
      EXPECT_TRUE(same_bits(swa.weights, small.params.weights)) << "one snapshot is its own mean";
    }
  }
  EXPECT_EQ(swa.snapshots, 5);
  for (const FlatEntry& entry : small.params.layout().entries()) {
    EXPECT_LT(testing::relative_error(small.params.view(swa.weights, entry),
                                      golden["nesterov/swa/" + entry.spec.name]),
              1e-12)
        << entry.spec.name;
  }
}

TEST(AveragingTest, AverageStatisticsBesideTheWeights) {
  dist::SingleCommunicator single;
  auto net = model::make_network(testing::narrow_resnet(model::Norm::kBatch), testing::kClasses, 1, nullptr);
  model::FlatParameters params(*net, single, 1 << 20);
  const torch::NoGradGuard no_grad;
  EmaOptions options;
  options.enabled = true;
  Ema ema(options, params);
  const auto before = params.statistics.clone();
  params.statistics.add_(1.0);
  ema.update(1, params);
  EXPECT_LT(testing::relative_error(ema.statistics, before + 0.9), 1e-6);  // the first decay is 1 / 10
}

TEST(AveragingTest, WeightSwapPutsOthersInAndTheModelsOwnBitsBack) {
  dist::SingleCommunicator single;
  auto net = model::make_network(testing::narrow_resnet(model::Norm::kBatch), testing::kClasses, 1, nullptr);
  model::FlatParameters params(*net, single, 1 << 20);
  const torch::NoGradGuard no_grad;
  params.weights[3] = std::numeric_limits<float>::quiet_NaN();
  const auto weights = params.weights.clone(), statistics = params.statistics.clone();
  const auto others = torch::randn_like(weights), other_statistics = torch::rand_like(statistics);
  const auto images = torch::rand({2, 3, 16, 16});
  net->eval();
  torch::Tensor within;
  {
    const WeightSwap swap(params, others, other_statistics);
    EXPECT_TRUE(same_bits(params.weights, others));
    EXPECT_TRUE(same_bits(params.statistics, other_statistics));
    within = net->forward(images);  // the network computes with them: its parameters are views
  }
  EXPECT_TRUE(same_bits(params.weights, weights));
  EXPECT_TRUE(same_bits(params.statistics, statistics));
  params.weights.copy_(others);
  params.statistics.copy_(other_statistics);
  EXPECT_TRUE(same_bits(net->forward(images), within));
}

}  // namespace
}  // namespace rn::train
