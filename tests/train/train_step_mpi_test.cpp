// Steps over several ranks: running statistics, the order of collectives, rounding on the wire.
#include <gtest/gtest.h>

#include <numeric>

#include "dist/single_communicator.h"
#include "support/faulty_communicator.h"
#include "train_mpi_testing.h"

namespace rn::train {
namespace {

using model::Norm;
using testing::communicator;
using testing::equal_on_all_ranks;
using testing::narrow_resnet;
using testing::random_images;
using testing::relative_error;
using testing::Rig;
using testing::RigOptions;

constexpr std::uint64_t kSeed = 11;

// What is trained on: `samples` images in steps of `batch`.
struct Epoch {
  std::int64_t samples, batch;
};

StepPlan make_plan(const Epoch& epoch, int ranks, int accumulate) {
  return StepPlan({epoch.samples, epoch.batch, ranks, accumulate, false}, kSeed, data::AugmentOptions{}, 16,
                  16);
}

RigOptions rig_options(Norm norm, torch::ScalarType dtype, int accumulate) {
  RigOptions options;
  options.model = narrow_resnet(norm);
  options.dtype = dtype;
  options.step.accumulate = accumulate;
  options.step.label_smoothing = 0.1;
  return options;
}

// The statistics after one step from (0, 1), each shard's own weighted by its count: computed plainly from
// the plan. `shards_of(step)` lists the requests whose batches are normalised together.
torch::Tensor expected_statistics(const data::ImageSet& images, Norm norm,
                                  const std::vector<data::ShardRequest>& shards, std::int64_t count) {
  dist::SingleCommunicator single;
  auto options = rig_options(norm, torch::kFloat64, 1);
  Rig rig(single, images, options, [](auto, auto, auto) { return data::ShardRequest{}; });
  const torch::NoGradGuard no_grad;
  auto sum = torch::zeros_like(rig.params.statistics);
  for (const auto& shard : shards) {
    if (shard.indices.empty()) continue;
    const auto host = data::make_batch(images, options.augment, shard);
    rig.net->forward(to_batch(host, 3, 16, 16, torch::kCPU, torch::kFloat64).images);
    sum += rig.params.batch_statistics * static_cast<double>(host.count);
  }
  return rig.params.statistics * 0.9 + sum * (0.1 / static_cast<double>(count));
}

TEST(TrainStepMpiTest, RunningStatisticsAreTheCountWeightedMeanOverAllShardsOnEveryRank) {
  const Epoch epoch{13, 13};
  const int ranks = communicator().world_size();
  const auto images = random_images(epoch.samples, kSeed + 1);
  for (const Norm norm : {Norm::kBatch, Norm::kSyncBatch}) {
    for (int accumulate = 1; accumulate <= 2; ++accumulate) {
      StepPlan plan = make_plan(epoch, ranks, accumulate);
      Rig rig(communicator(), images, rig_options(norm, torch::kFloat64, accumulate),
              testing::step_plan(plan));
      rig.step.run(rig.batches, 13, /*lr=*/0.01);

      // Batch norm: shards of one rank's micro-step. SyncBN: those of all ranks' micro-step, joined.
      std::vector<data::ShardRequest> shards;
      for (int micro_step = 0; micro_step < accumulate; ++micro_step) {
        data::ShardRequest joined;
        for (int rank = 0; rank < ranks; ++rank) {
          auto part = plan.request(0, rank, micro_step);
          if (norm == Norm::kBatch) {
            shards.push_back(std::move(part));
            continue;
          }
          joined.indices.insert(joined.indices.end(), part.indices.begin(), part.indices.end());
          joined.draws.insert(joined.draws.end(), part.draws.begin(), part.draws.end());
        }
        if (norm == Norm::kSyncBatch) shards.push_back(std::move(joined));
      }
      const auto expected = expected_statistics(images, norm, shards, 13);
      EXPECT_LT(relative_error(rig.params.statistics, expected), 1e-12) << "accumulate " << accumulate;
      EXPECT_TRUE(equal_on_all_ranks(rig.params.statistics));
      EXPECT_TRUE(equal_on_all_ranks(rig.params.weights));
      EXPECT_TRUE(equal_on_all_ranks(rig.optimizer.momentum));
    }
  }
}

TEST(TrainStepMpiTest, Bfloat16OnTheWireIsCloseAndEqualOnAllRanks) {
  const auto images = random_images(13, kSeed + 2);
  StepPlan plan = make_plan({13, 13}, communicator().world_size(), 1);
  auto options = rig_options(Norm::kGroup, torch::kFloat32, 1);
  Rig exact(communicator(), images, options, testing::step_plan(plan));
  exact.step.accumulate_gradient(exact.batches, 13);
  options.step.wire = DType::kBF16;
  StepPlan same_plan = make_plan({13, 13}, communicator().world_size(), 1);
  Rig rounded(communicator(), images, options, testing::step_plan(same_plan));
  rounded.step.accumulate_gradient(rounded.batches, 13);
  const double error = relative_error(rounded.params.gradient, exact.params.gradient);
  EXPECT_LT(error, 1e-2);  // bf16 has 8 bits: each contribution and the sum are rounded by 2^-9 at most
  EXPECT_TRUE(equal_on_all_ranks(rounded.params.gradient));
  if (communicator().world_size() > 1) {
    EXPECT_GT(error, 1e-4) << "nothing was rounded";
  }
}

// The buckets in the order in which this rank started them, and the position of each event kind.
struct Trace {
  std::vector<std::int64_t> started;
  bool started_before_last_ready = false, ready = false;
};
Trace read_trace(const dist::GradientReducer& reducer) {
  using Kind = dist::GradientReducer::Event::Kind;
  Trace trace;
  for (const auto& event : reducer.trace()) {
    if (event.kind == Kind::kStarted) trace.started.push_back(static_cast<std::int64_t>(event.index));
    if (event.kind != Kind::kReady) continue;
    trace.ready = true;
    trace.started_before_last_ready = !trace.started.empty();
  }
  return trace;
}

TEST(TrainStepMpiTest, AllRanksStartTheSameCollectivesInTheSameOrderAlthoughSomeAreEmpty) {
  const auto images = random_images(2, kSeed);
  for (const Norm norm : {Norm::kGroup, Norm::kBatch, Norm::kSyncBatch}) {
    for (int accumulate = 1; accumulate <= 2; ++accumulate) {
      SCOPED_TRACE(cat("norm ", static_cast<int>(norm), ", accumulate ", accumulate));
      StepPlan plan = make_plan({2, 8}, communicator().world_size(), accumulate);
      test::FaultyCommunicator recording(communicator());
      Rig rig(recording, images, rig_options(norm, torch::kFloat32, accumulate), testing::step_plan(plan));
      recording.calls.clear();
      rig.step.accumulate_gradient(rig.batches, 2);

      const Trace trace = read_trace(rig.step.reducer());
      std::vector<std::int64_t> in_order(rig.params.layout().buckets().size());
      std::iota(in_order.begin(), in_order.end(), 0);
      EXPECT_GT(in_order.size(), 4U);
      EXPECT_EQ(trace.started, in_order);
      const bool last_is_empty = plan.shard(plan.at(0), recording.rank(), accumulate - 1).size() == 0;
      const bool runs = norm == Norm::kSyncBatch || !last_is_empty;
      EXPECT_EQ(trace.ready, runs) << "only a shard that runs makes gradients ready";
      EXPECT_EQ(trace.started_before_last_ready, runs) << "buckets travel while backward still runs";

      std::vector<std::int64_t> sizes;  // and kinds: what the ranks must agree on
      for (const auto& call : recording.calls) {
        sizes.push_back(static_cast<std::int64_t>(call.bytes) * 2 + (call.kind == "all_reduce" ? 1 : 0));
      }
      EXPECT_TRUE(equal_on_all_ranks(sizes));
    }
  }
}

TEST(TrainStepMpiTest, MicroStepsButTheLastCommunicateNothing) {
  const auto images = random_images(24, kSeed);
  StepPlan plan = make_plan({24, 24}, communicator().world_size(), 3);
  test::FaultyCommunicator recording(communicator());
  Rig rig(recording, images, rig_options(Norm::kBatch, torch::kFloat32, 3), testing::step_plan(plan));
  recording.calls.clear();
  rig.step.accumulate_gradient(rig.batches, 24);
  // The gradient once, in buckets, and the statistics once.
  EXPECT_EQ(recording.calls.size(), rig.params.layout().buckets().size() + 1);
}

}  // namespace
}  // namespace rn::train
