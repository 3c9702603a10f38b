// Evaluation and re-estimated statistics do not depend on the number of ranks.
#include <gtest/gtest.h>

#include "dist/single_communicator.h"
#include "train/evaluator.h"
#include "train/statistics.h"
#include "train_mpi_testing.h"

namespace rn::train {
namespace {

using model::Norm;
using testing::communicator;
using testing::narrow_resnet;
using testing::random_images;

EvalResult evaluate_on(Communicator& host, const std::string& on, std::int64_t batch, Precision precision) {
  const auto images = random_images(53, 5);
  auto net = model::make_network(narrow_resnet(Norm::kBatch), testing::kClasses, 9, nullptr);
  const data::AugmentOptions augment;
  const data::DataOptions data;
  EvalOptions eval;
  eval.batch = batch;
  eval.on = on;
  const auto result =
      evaluate(*net, images, host, {augment, data, eval, precision, torch::kCPU, testing::kClasses});
  EXPECT_TRUE(net->is_training()) << "the mode is put back";
  return result;
}

TEST(EvaluatorMpiTest, TheResultHasTheSameBitsAtAnyRankCount) {
  torch::set_num_threads(1);
  dist::SingleCommunicator single;
  for (const Precision precision : {Precision::kFP32, Precision::kBF16}) {
    for (const std::int64_t batch : {7, 20, 64}) {  // 8 batches, 3 (fewer than 4 ranks), 1
      const auto expected = evaluate_on(single, "all", batch, precision);
      EXPECT_EQ(expected.n, 53);
      EXPECT_EQ(evaluate_on(communicator(), "all", batch, precision), expected) << "batch " << batch;
      EXPECT_EQ(evaluate_on(communicator(), "rank0", batch, precision), expected) << "batch " << batch;
    }
  }
}

// The statistics of `ranks` (the communicator's) re-estimated over `wanted` of 40 images.
torch::Tensor reestimated(Communicator& comm, Norm norm, std::int64_t wanted, int accumulate) {
  const auto images = random_images(40, 6);
  const data::AugmentOptions augment;
  const data::DataOptions data;
  StepPlan plan({40, 12, comm.world_size(), accumulate, false}, 8, augment, 16, 16);
  auto net = model::make_network(narrow_resnet(norm), testing::kClasses, 9, &comm);
  net->to(torch::kFloat64);
  model::FlatParameters params(*net, comm, 1 << 12);
  Swa swa(params);
  swa.snapshot(params);
  {
    const torch::NoGradGuard no_grad;  // the model has moved on since the average
    params.weights.mul_(1.5);
    params.statistics.add_(3.0);
  }
  const auto weights = params.weights.clone(), statistics = params.statistics.clone();
  reestimate_statistics(*net, params, images, plan, /*total_steps=*/6,
                        {augment, data, Precision::kFP32, norm == Norm::kSyncBatch, wanted}, comm, swa);
  EXPECT_TRUE(testing::same_bits(params.weights, weights));
  EXPECT_TRUE(testing::same_bits(params.statistics, statistics));
  return swa.statistics.clone();
}

// torch.optim.swa_utils.update_bn, plainly: fresh statistics, the mean over the loader's batches.
torch::Tensor updated_like_update_bn(const std::vector<std::pair<std::int64_t, int>>& shards, int ranks,
                                     int accumulate, double covered) {
  const auto images = random_images(40, 6);
  const data::AugmentOptions augment;
  StepPlan plan({40, 12, ranks, accumulate, false}, 8, augment, 16, 16);
  dist::SingleCommunicator single;
  auto net = model::make_network(narrow_resnet(Norm::kBatch), testing::kClasses, 9, nullptr);
  net->to(torch::kFloat64);
  model::FlatParameters params(*net, single, 1 << 12);
  const torch::NoGradGuard no_grad;
  auto sum = torch::zeros_like(params.statistics);
  for (const auto& [step, shard] : shards) {
    const auto host = data::make_batch(images, augment, plan.request(step, shard % ranks, shard / ranks));
    if (host.count == 0) continue;
    net->forward(to_batch(host, 3, 16, 16, torch::kCPU, torch::kFloat64).images);
    sum += params.batch_statistics * static_cast<double>(host.count);
  }
  return sum / covered;
}

TEST(StatisticsMpiTest, ReestimatedStatisticsAreTheMeanOverTheNextWholeEpochsFirstBatches) {
  const int ranks = communicator().world_size();
  for (const int accumulate : {1, 2}) {
    // 4 steps an epoch: after 6 steps the next whole epoch starts at step 8. 20 images are covered by two.
    std::vector<std::pair<std::int64_t, int>> shards;
    for (const std::int64_t step : {8, 9}) {
      for (int v = 0; v < ranks * accumulate; ++v) shards.emplace_back(step, v);
    }
    const auto mine = reestimated(communicator(), Norm::kBatch, 20, accumulate);
    EXPECT_LT(testing::relative_error(mine, updated_like_update_bn(shards, ranks, accumulate, 24)), 1e-12);
    EXPECT_TRUE(testing::equal_on_all_ranks(mine));
  }
}

TEST(StatisticsMpiTest, WithSyncBatchNormTheyAreTheSameAtAnyRankCount) {
  dist::SingleCommunicator single;
  for (const std::int64_t wanted : {20, 0}) {  // 0: all 40, an uneven last batch of 4 included
    const auto expected = reestimated(single, Norm::kSyncBatch, wanted, 1);
    const auto mine = reestimated(communicator(), Norm::kSyncBatch, wanted, 1);
    EXPECT_LT(testing::relative_error(mine, expected), 1e-12);
    EXPECT_TRUE(testing::equal_on_all_ranks(mine));
  }
}

}  // namespace
}  // namespace rn::train
