// The step on one rank: loss, clipping, and steps whose gradient is not finite.
#include "train/train_step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "dist/single_communicator.h"
#include "train/statistics.h"
#include "train_testing.h"

namespace rn::train {
namespace {

using testing::GoldenFile;
using testing::relative_error;
using testing::Rig;
using testing::RigOptions;
using testing::same_bits;

TEST(CrossEntropySumTest, EqualsPyTorchsWithAndWithoutLabelSmoothing) {
  const GoldenFile golden("optimizer");
  for (const char* smoothing : {"0.0", "0.1", "0.3"}) {
    const std::string key = cat("loss/", smoothing);
    const auto logits = golden["loss/logits"].requires_grad_();
    const auto loss = cross_entropy_sum(logits, golden["loss/labels"], std::stod(smoothing));
    loss.backward();
    EXPECT_LT(relative_error(loss, golden[key + "/sum"]), 1e-14) << smoothing;
    EXPECT_LT(relative_error(logits.grad(), golden[key + "/gradient"]), 1e-14) << smoothing;
  }
}

TEST(CrossEntropySumTest, IsTakenInFloat32ForHalfPrecisionLogitsAndIsZeroWithoutSamples) {
  const auto logits = torch::randn({3, 10}).to(torch::kBFloat16);
  const auto labels = torch::arange(3);
  const auto loss = cross_entropy_sum(logits, labels, 0.1);
  EXPECT_EQ(loss.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(loss.equal(cross_entropy_sum(logits.to(torch::kFloat32), labels, 0.1)));
  EXPECT_EQ(cross_entropy_sum(torch::empty({0, 10}), torch::empty({0}, torch::kInt64), 0.1).item<float>(), 0);
}

// One shard of 6 images, repeated in every step.
Rig::Plan same_six() {
  return [](auto, auto, auto) { return data::ShardRequest{{0, 1, 2, 3, 4, 5}, {}, 0}; };
}

RigOptions plain_sgd() {
  RigOptions options;
  options.model = testing::narrow_resnet(model::Norm::kBatch);
  options.optimizer.momentum = 0;
  options.optimizer.nesterov = false;
  options.optimizer.weight_decay = 0;
  return options;
}

TEST(TrainStepTest, ClipsByTheGlobalNormAsPyTorchDoes) {
  const auto images = testing::random_images(6, 4);
  dist::SingleCommunicator single;
  Rig reference(single, images, plain_sgd(), same_six());
  reference.step.accumulate_gradient(reference.batches, 6);
  const auto gradient = reference.params.gradient.clone();
  const double norm = gradient.norm().item<double>();
  ASSERT_GT(norm, 0);
  for (const double limit : {0.25 * norm, 4.0 * norm}) {
    auto options = plain_sgd();
    options.step.clip_norm = limit;
    Rig rig(single, images, options, same_six());
    const auto before = rig.params.weights.clone();
    const Ballot ballot = rig.step.run(rig.batches, 6, /*lr=*/0.5);
    const auto expected = gradient * std::min(1.0, limit / (norm + 1e-6));  // torch.nn.utils.clip_grad_norm_
    EXPECT_LT(relative_error(before - rig.params.weights, 0.5 * expected), 1e-6) << "limit " << limit;
    EXPECT_NEAR(ballot.grad_norm.item<double>(), norm, 1e-6 * norm) << "reported before clipping";
  }
}

TEST(TrainStepTest, AGradientThatIsNotFiniteLeavesEveryBitAsItWas) {
  const auto images = testing::random_images(6, 4);
  dist::SingleCommunicator single;
  for (const Precision precision : {Precision::kFP32, Precision::kFP16}) {
    RigOptions options;
    options.model = testing::narrow_resnet(model::Norm::kBatch);
    options.dtype = torch::kFloat32;
    options.step.clip_norm = 1.0;
    Rig rig(single, images, options, same_six());
    LossScaler scaler(precision, torch::kCPU);
    TrainStep step(*rig.net, rig.params, single, rig.optimizer, scaler, Precision::kFP32, options.step);
    step.run(rig.batches, 6, 0.1);  // there is a momentum to keep

    const auto& entry = rig.params.layout().entry("fc.bias");
    const torch::NoGradGuard no_grad;
    rig.params.view(rig.params.weights, entry)[2] = std::numeric_limits<float>::infinity();
    const auto weights = rig.params.weights.clone(), momentum = rig.optimizer.momentum.clone(),
               statistics = rig.params.statistics.clone();
    Ballot ballot;
    {
      const torch::AutoGradMode grad(true);
      ballot = step.run(rig.batches, 6, 0.1);
    }
    EXPECT_EQ(ballot.found_inf.item<float>(), 1.0F);
    EXPECT_TRUE(same_bits(rig.params.weights, weights));
    EXPECT_TRUE(same_bits(rig.optimizer.momentum, momentum));
    EXPECT_TRUE(same_bits(rig.params.statistics, statistics));
    EXPECT_EQ(scaler.scale.item<float>(), precision == Precision::kFP16 ? 32768.0F : 1.0F);
  }
}

TEST(TrainStepTest, ARunningStatisticThatIsNotFiniteIsBroughtToTheVoteAndCanBeNamed) {
  const auto images = testing::random_images(6, 4);
  dist::SingleCommunicator single;
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    auto options = plain_sgd();
    options.dtype = torch::kFloat32;
    Rig rig(single, images, options, same_six());
    Ballot ballot = rig.step.run(rig.batches, 6, 0.1);
    EXPECT_TRUE(std::isfinite(ballot.statistics_sum.item<double>()));
    EXPECT_EQ(non_finite_statistic(rig.params, rig.params.statistics), "");
    const auto& entries = rig.params.statistic_entries();
    const auto& entry = entries[entries.size() / 2];
    rig.params.view(rig.params.statistics, entry)[1] = bad;  // no training step reads it
    ballot = rig.step.run(rig.batches, 6, 0.1);
    EXPECT_EQ(ballot.found_inf.item<float>(), 0.0F);
    EXPECT_EQ(non_finite_statistic(rig.params, rig.params.statistics), entry.name);
    Vote vote(single, torch::kCPU);
    vote.start(0, ballot);
    EXPECT_FALSE(vote.drain()->statistics_finite);
  }
}

TEST(TrainStepTest, TheLossScaleCancels) {
  const auto images = testing::random_images(6, 4);
  dist::SingleCommunicator single;
  auto options = plain_sgd();
  options.dtype = torch::kFloat32;
  Rig plain(single, images, options, same_six());
  plain.step.run(plain.batches, 6, 0.1);
  Rig scaled(single, images, options, same_six());
  LossScaler scaler(Precision::kFP16, torch::kCPU);
  TrainStep step(*scaled.net, scaled.params, single, scaled.optimizer, scaler, Precision::kFP32,
                 options.step);
  step.run(scaled.batches, 6, 0.1);
  // A power of two: float32 gradients shift their exponent and nothing else.
  EXPECT_LT(relative_error(scaled.params.weights, plain.params.weights), 1e-7);
}

TEST(TrainStepTest, RunningOutOfBatchesIsABrokenInvariant) {
  const auto images = testing::random_images(6, 4);
  data::PrefetchLoader loader(images, {}, 1, 1, [] { return std::nullopt; });
  LoaderBatches batches(loader, 3, 16, 16, torch::kCPU, torch::kFloat32);
  EXPECT_THROW(batches.next(), InternalError);
}

}  // namespace
}  // namespace rn::train
