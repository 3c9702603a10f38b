// The gradient of a global batch is the same on any number of ranks: uneven, accumulated, empty.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "dist/single_communicator.h"
#include "relu_inputs.h"
#include "train_mpi_testing.h"

namespace rn::train {
namespace {

using model::Norm;
using testing::communicator;
using testing::equal_on_all_ranks;
using testing::random_images;
using testing::relative_error;
using testing::Rig;
using testing::RigOptions;

constexpr std::uint64_t kSeed = 11;
constexpr std::size_t kReluLayers = 17;  // of ResNet-18: the stem's and two per block

// What is trained on: `samples` images in steps of `batch`.
struct Epoch {
  std::int64_t samples, batch;
};
// A whole batch of 17 and an uneven one of 9; then 2 images. Up to 12 shards: some, then most are empty.
const std::vector<Epoch> kEpochs = {{26, 17}, {2, 8}};

StepPlan make_plan(const Epoch& epoch, int ranks, int accumulate) {
  return StepPlan({epoch.samples, epoch.batch, ranks, accumulate, false}, kSeed, data::AugmentOptions{}, 16,
                  16);
}

RigOptions rig_options(Norm norm, torch::ScalarType dtype, int accumulate) {
  RigOptions options;
  options.model = testing::narrow_resnet(norm);
  // Own float32 kernels compute each image alone (FloatConvolutionFunctionTest), so they cannot tell ranks
  // apart; but they round more than LibTorch's, and few images would be fit.
  if (dtype == torch::kFloat32) options.model.kernels = model::KernelChoice::kTorch;
  options.dtype = dtype;
  options.step.accumulate = accumulate;
  options.step.label_smoothing = 0.1;
  return options;
}

constexpr double kTolerance64 = 1e-10, kTolerance32 = 1e-4;

// Note [Images for float32]. The gradient of a ReLU network is not continuous: where rounding moves a single
// input of a ReLU over zero, a gradient of this small network and batch jumps by 1e-3 and more, and some
// batches are ill-conditioned besides. Neither says anything about ranks. So float32 is judged on images that
// leave nothing to rounding, which is found out on one rank:
//  - in every ReLU layer the input nearest to zero, computed in float64, is at least kMargin times as far
//  from
//    it as float32 moves any input of that layer;
//  - float32 knows the gradient of every tensor to a quarter of the tolerance.
// The images are random, and nothing but this decides on their seed.
constexpr double kMargin = 2;
constexpr double kKnown = kTolerance32 / 4;
constexpr int kMostSeeds = 2000;

// Forward passes on one rank in both precisions, with the same weights.
class SignMargin {
 public:
  SignMargin(Norm norm, int accumulate)
      : wide_(single_, none_, rig_options(norm, torch::kFloat64, accumulate), no_plan),
        narrow_(single_, none_, rig_options(norm, torch::kFloat32, accumulate), no_plan) {}

  // The smallest, over the ReLU layers, of (smallest |input|) / (largest rounding error of an input).
  double of(const data::HostBatch& host) {
    const auto exact = relu_inputs(wide_, host, torch::kFloat64);
    const auto rounded = relu_inputs(narrow_, host, torch::kFloat32);
    EXPECT_EQ(exact.size(), kReluLayers);
    EXPECT_EQ(rounded.size(), kReluLayers);
    double margin = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const double rounding = (rounded.at(i) - exact[i]).abs().max().item<double>();
      EXPECT_GT(rounding, 0.0) << "float32 rounds nothing?";
      margin = std::min(margin, exact[i].abs().min().item<double>() / rounding);
    }
    return margin;
  }

 private:
  static data::ShardRequest no_plan(std::int64_t, int, int) { return {}; }
  static std::vector<torch::Tensor> relu_inputs(Rig& rig, const data::HostBatch& host,
                                                torch::ScalarType dtype) {
    const torch::NoGradGuard no_grad;
    const testing::ReluInputs inputs;
    rig.net->forward(to_batch(host, 3, 16, 16, torch::kCPU, dtype).images);
    return inputs.tensors();
  }

  dist::SingleCommunicator single_;
  const data::ImageSet none_;
  Rig wide_, narrow_;
};

// The largest relative norm of a difference over tensors and steps: float32 against float64, both on one
// rank.
double error_of_float32(const data::ImageSet& images, const Epoch& epoch, Norm norm, int accumulate) {
  dist::SingleCommunicator single;
  StepPlan narrow_plan = make_plan(epoch, 1, accumulate), wide_plan = make_plan(epoch, 1, accumulate);
  Rig narrow(single, images, rig_options(norm, torch::kFloat32, accumulate), testing::step_plan(narrow_plan));
  Rig wide(single, images, rig_options(norm, torch::kFloat64, accumulate), testing::step_plan(wide_plan));
  double largest = 0;
  for (std::int64_t step = 0; step < wide_plan.steps_per_epoch(); ++step) {
    narrow.step.accumulate_gradient(narrow.batches, wide_plan.at(step).count);
    wide.step.accumulate_gradient(wide.batches, wide_plan.at(step).count);
    for (const FlatEntry& entry : wide.params.layout().entries()) {
      largest = std::max(largest, relative_error(narrow.gradient(entry), wide.gradient(entry)));
    }
  }
  return largest;
}

// The first seed from `first` on whose random images are as Note [Images for float32] wants them, in steps of
// `accumulate` shards. Collective: the first rank searches for all, since their roundings may differ.
std::uint64_t seed_for_float32(const Epoch& epoch, Norm norm, int accumulate, std::uint64_t first) {
  SignMargin margin(norm, accumulate);
  StepPlan plan = make_plan(epoch, 1, accumulate);
  const auto is_fit = [&](std::uint64_t seed) {
    const auto images = random_images(epoch.samples, seed);
    for (std::int64_t shard = 0; shard < plan.steps_per_epoch() * accumulate; ++shard) {
      const auto request = plan.request(shard / accumulate, 0, static_cast<int>(shard % accumulate));
      if (request.indices.empty()) continue;
      if (margin.of(data::make_batch(images, data::AugmentOptions{}, request)) < kMargin) return false;
    }
    return error_of_float32(images, epoch, norm, accumulate) < kKnown;
  };
  std::uint64_t seed = first;
  if (communicator().rank() == 0) {
    while (seed < first + kMostSeeds && !is_fit(seed)) ++seed;
    EXPECT_LT(seed, first + kMostSeeds) << "no seed from " << first << " on is fit";
  }
  communicator().broadcast({reinterpret_cast<std::byte*>(&seed), sizeof seed}, /*root=*/0).wait();
  return seed;
}

// One case: all ranks together against one rank that holds the whole global batch.
struct Case {
  Norm norm;
  torch::ScalarType dtype;
  int accumulate;
  int reference_accumulate;  // that one rank's shards
};

// Trains both over `epoch` and compares after each step: per tensor the relative norm of the difference, the
// bits over the ranks, and what the ranks bring to the vote. Returns the largest of the norms.
double expect_equal(const Case& c, const Epoch& epoch, std::uint64_t seed, double tolerance) {
  const auto images = random_images(epoch.samples, seed);
  StepPlan plan = make_plan(epoch, communicator().world_size(), c.accumulate);
  StepPlan whole_plan = make_plan(epoch, 1, c.reference_accumulate);
  dist::SingleCommunicator single;
  Rig rig(communicator(), images, rig_options(c.norm, c.dtype, c.accumulate), testing::step_plan(plan));
  Rig whole(single, images, rig_options(c.norm, c.dtype, c.reference_accumulate),
            testing::step_plan(whole_plan));
  double worst = 0;
  for (std::int64_t step = 0; step < plan.steps_per_epoch(); ++step) {
    const std::int64_t count = plan.at(step).count;
    SCOPED_TRACE(
        cat(count, " samples, accumulate ", c.accumulate, ", ", torch::toString(c.dtype), ", seed ", seed));
    const Ballot ballot = rig.step.accumulate_gradient(rig.batches, count);
    const Ballot expected = whole.step.accumulate_gradient(whole.batches, count);
    for (const FlatEntry& entry : rig.params.layout().entries()) {
      const double error = relative_error(rig.gradient(entry), whole.gradient(entry));
      EXPECT_LT(error, tolerance) << entry.spec.name;
      worst = std::max(worst, error);
    }
    EXPECT_TRUE(equal_on_all_ranks(rig.params.gradient));

    // What the ranks bring to the vote adds up to the global batch.
    auto brought = torch::zeros({3}, torch::kFloat64);
    if (ballot.loss_sum.defined()) brought[0].copy_(ballot.loss_sum);
    if (ballot.correct.defined()) brought[1].copy_(ballot.correct);
    brought[2].fill_(static_cast<double>(ballot.count));
    communicator()
        .all_reduce({static_cast<std::byte*>(brought.data_ptr()), brought.nbytes()}, DType::kF64)
        .wait();
    const double loss_sum = expected.loss_sum.item<double>();
    EXPECT_NEAR(brought[0].item<double>(), loss_sum, 1e-5 * loss_sum);
    EXPECT_EQ(brought[1].item<double>(), expected.correct.item<double>());
    EXPECT_EQ(brought[2].item<double>(), static_cast<double>(count));
    EXPECT_EQ(expected.count, count);
  }
  return worst;
}

void expect_gradient_in_float64(Norm norm, int accumulate, int reference_accumulate) {
  for (const Epoch& epoch : kEpochs) {
    expect_equal({norm, torch::kFloat64, accumulate, reference_accumulate}, epoch, kSeed, kTolerance64);
  }
}

// Returns the largest relative norm of a difference.
double expect_gradient_in_float32(Norm norm, const std::vector<int>& accumulates, int reference_accumulate) {
  constexpr int kSets = 3;
  double worst = 0;
  for (const Epoch& epoch : kEpochs) {
    std::uint64_t seed = kSeed;
    for (int set = 0; set < kSets; ++set) {
      seed = seed_for_float32(epoch, norm, reference_accumulate, seed + 1);
      for (const int accumulate : accumulates) {
        const Case c{norm, torch::kFloat32, accumulate, reference_accumulate};
        worst = std::max(worst, expect_equal(c, epoch, seed, kTolerance32));
      }
    }
  }
  return worst;
}

TEST(GradientEqualityMpiTest, WithGroupNormItIsThatOfTheWholeBatchInOneShard) {
  for (int accumulate = 1; accumulate <= 3; ++accumulate) {
    expect_gradient_in_float64(Norm::kGroup, accumulate, 1);
  }
  RecordProperty("largest_float32_error", cat(expect_gradient_in_float32(Norm::kGroup, {1, 2, 3}, 1)));
}

TEST(GradientEqualityMpiTest, WithSyncBatchNormItIsThatOfOneRankWithTheSameMicroSteps) {
  double worst = 0;
  for (int accumulate = 1; accumulate <= 3; ++accumulate) {
    expect_gradient_in_float64(Norm::kSyncBatch, accumulate, accumulate);
    worst = std::max(worst, expect_gradient_in_float32(Norm::kSyncBatch, {accumulate}, accumulate));
  }
  RecordProperty("largest_float32_error", cat(worst));
}

TEST(GradientEqualityMpiTest, WithBatchNormItIsThatOfOneRankWithTheSameShards) {
  for (int accumulate = 1; accumulate <= 2; ++accumulate) {
    expect_gradient_in_float64(Norm::kBatch, accumulate, accumulate * communicator().world_size());
  }
}

}  // namespace
}  // namespace rn::train
