// A step on GPUs against the same step on the CPU, in float64 so that only a mistake can tell them apart.
#include <c10/core/impl/VirtualGuardImpl.h>

#include "data/synthetic_dataset.h"
#include "gpu_testing.h"
#include "train/step_plan.h"
#include "train/train_step.h"

namespace rn::train {
namespace {

constexpr std::int64_t kImages = 64;
constexpr int kAccumulate = 2;
constexpr int kSteps = 3;
constexpr std::int64_t kBucketElements = 1 << 14;  // a narrow ResNet-18 has some ten

double relative_error(const torch::Tensor& actual, const torch::Tensor& expected) {
  const auto a = actual.detach().cpu(), b = expected.detach().cpu();
  return ((a - b).norm() / b.norm().clamp_min(1e-30)).item<double>();
}

// One rank's network and step on one device; both devices see the same numbers.
struct Trainee {
  Trainee(Communicator& communicator, torch::Device where, const data::ImageSet& images, model::Norm norm)
      : device(where),
        plan({images.size, /*global_batch=*/22, communicator.world_size(), kAccumulate, /*drop_last=*/false},
             /*seed=*/5, augment, images.height, images.width),
        net(make_net(communicator, norm, where)),
        params(*net, communicator, kBucketElements),
        optimizer(OptimizerOptions{}, params),
        scaler(Precision::kFP32, where),
        loader(images, augment, /*workers=*/1, /*prefetch=*/2,
               [this, rank = communicator.rank(), next = 0]() mutable -> std::optional<data::ShardRequest> {
                 const int shard = next++;
                 return plan.request(shard / kAccumulate, rank, shard % kAccumulate);
               }),
        batches(loader, images.channels, images.height, images.width, where, torch::kFloat64),
        step(*net, params, communicator, optimizer, scaler, Precision::kFP32,
             {.accumulate = kAccumulate,
              .label_smoothing = 0.1,
              .clip_norm = 5.0,
              .empty_shards_run = norm == model::Norm::kSyncBatch}) {
    net->train();
  }

  static std::shared_ptr<model::Network> make_net(Communicator& communicator, model::Norm norm,
                                                  torch::Device device) {
    model::ModelOptions options;
    options.width = 8;
    options.norm = norm;
    options.group_norm_groups = 4;
    auto net = model::make_network(options, /*classes=*/10, /*seed=*/3, &communicator);
    net->to(torch::kFloat64);
    net->to(device);
    return net;
  }

  Ballot run(std::int64_t i) { return step.run(batches, plan.at(i).count, /*lr=*/0.05); }

  const torch::Device device;
  const data::AugmentOptions augment;
  StepPlan plan;
  std::shared_ptr<model::Network> net;
  model::FlatParameters params;
  Sgd optimizer;
  LossScaler scaler;
  data::PrefetchLoader loader;
  LoaderBatches batches;
  TrainStep step;
};

class TrainStepGpuTest : public rn::testing::GpuTest {
 protected:
  const data::ImageSet images = data::make_synthetic(kImages, data::SyntheticSplit::kTrain, /*seed=*/1);
};

TEST_F(TrainStepGpuTest, EqualsTheCpuWithEveryNorm) {
  constexpr double kTolerance = 1e-9;
  for (const auto norm : {model::Norm::kBatch, model::Norm::kSyncBatch, model::Norm::kGroup}) {
    SCOPED_TRACE(::testing::Message() << "norm " << static_cast<int>(norm));
    Trainee on_gpu(gpu(), device(), images, norm);
    Trainee on_cpu(host(), torch::kCPU, images, norm);
    for (std::int64_t i = 0; i < kSteps; ++i) {
      const Ballot actual = on_gpu.run(i);
      const Ballot expected = on_cpu.run(i);
      EXPECT_EQ(actual.count, expected.count);
      EXPECT_EQ(actual.loss_sum.defined(), expected.loss_sum.defined());
      if (expected.loss_sum.defined()) {
        EXPECT_LT(relative_error(actual.loss_sum, expected.loss_sum), kTolerance) << "step " << i;
      }
      EXPECT_LT(relative_error(on_gpu.params.gradient, on_cpu.params.gradient), kTolerance) << "step " << i;
    }
    EXPECT_LT(relative_error(on_gpu.params.weights, on_cpu.params.weights), kTolerance);
    EXPECT_LT(relative_error(on_gpu.optimizer.momentum, on_cpu.optimizer.momentum), kTolerance);
    if (norm == model::Norm::kGroup) continue;
    EXPECT_LT(relative_error(on_gpu.params.statistics, on_cpu.params.statistics), kTolerance);
  }
}

TEST_F(TrainStepGpuTest, StartsBucketsDuringBackward) {
  Trainee trainee(gpu(), device(), images, model::Norm::kBatch);
  trainee.run(0);
  using Kind = dist::GradientReducer::Event::Kind;
  bool started = false;
  bool ready_after_start = false;
  for (const auto& event : trainee.step.reducer().trace()) {
    if (event.kind == Kind::kStarted) started = true;
    if (event.kind == Kind::kReady && started) ready_after_start = true;
    if (event.kind == Kind::kFinalize) break;
  }
  EXPECT_TRUE(ready_after_start);
}

// Queue far more work than a step needs, then a step: the host must be back while the device still works. The
// vote is read one step late for this reason.
TEST_F(TrainStepGpuTest, HostRunsAheadOfTheDevice) {
  Trainee trainee(gpu(), device(), images, model::Norm::kBatch);
  Vote vote(gpu(), device());
  const auto wide = torch::ones({8192, 8192}, torch::dtype(torch::kFloat32).device(device()));
  auto product = torch::empty_like(wide);
  torch::mm_out(product, wide, wide);
  EXPECT_FALSE(vote.start(0, trainee.run(0)));  // loads kernels, fills the caches
  EXPECT_TRUE(vote.start(1, trainee.run(1)));
  const c10::impl::VirtualGuardImpl streams(torch::kCUDA);
  const auto stream = streams.getStream(device());
  torch::cuda::synchronize(device().index());
  for (int i = 0; i < 100; ++i) torch::mm_out(product, wide, wide);
  const auto ballot = trainee.run(2);
  const auto earlier = vote.start(2, ballot);
  EXPECT_FALSE(streams.queryStream(stream)) << "the device had finished all that was queued";
  ASSERT_TRUE(earlier);
  EXPECT_EQ(earlier->step, 1);
  const auto last = vote.drain();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->step, 2);
  EXPECT_EQ(last->count, trainee.plan.at(2).count);
}

TEST_F(TrainStepGpuTest, VoteSumsOverTheRanks) {
  Vote vote(gpu(), device());
  const auto options = torch::dtype(torch::kFloat32).device(device());
  Ballot ballot;
  ballot.loss_sum = torch::full({}, 1.5 * (gpu().rank() + 1), options);
  ballot.correct = torch::full({}, gpu().rank(), options.dtype(torch::kInt64));
  ballot.count = 7;
  ballot.found_inf = torch::ones({1}, options);
  ballot.grad_norm = torch::full({}, 2.5, options);
  ballot.stop_reason = gpu().rank() == gpu().world_size() - 1 ? 2 : 0;
  EXPECT_FALSE(vote.start(4, ballot));
  const auto result = vote.drain();
  ASSERT_TRUE(result);
  const int ranks = gpu().world_size();
  EXPECT_EQ(result->step, 4);
  EXPECT_DOUBLE_EQ(result->loss_sum, 1.5 * ranks * (ranks + 1) / 2);
  EXPECT_EQ(result->correct, ranks * (ranks - 1) / 2);
  EXPECT_EQ(result->count, 7 * ranks);
  EXPECT_TRUE(result->found_inf);
  EXPECT_DOUBLE_EQ(result->grad_norm, 2.5);
  EXPECT_EQ(result->stop_reason, 2);
}

TEST_F(TrainStepGpuTest, AutoPrecisionFollowsTheComputeCapability) {
  const auto expected =
      dist::cuda_device_computes_bf16(device().index()) ? Precision::kBF16 : Precision::kFP16;
  EXPECT_EQ(resolve_precision(PrecisionChoice::kAuto, device()), expected);
}

}  // namespace
}  // namespace rn::train
