// Steps as graphs, by the CPU's twin of a graph: what is recorded, launched and counted, and the same bits.
#include "support/faulty_communicator.h"
#include "train/graphed_step.h"
#include "train_mpi_testing.h"

namespace rn::train {
namespace {

using testing::communicator;
using testing::equal_on_all_ranks;
using testing::narrow_resnet;
using testing::random_images;
using testing::Rig;
using testing::RigOptions;
using testing::same_bits;

constexpr std::uint64_t kSeed = 21;
constexpr std::int64_t kSamples = 30, kBatch = 12;  // the last step of an epoch has 6 images

// Writes down how a graph's owner tells the communicator of it.
class GraphCommunicator final : public test::FaultyCommunicator {
 public:
  using FaultyCommunicator::FaultyCommunicator;
  void begin_capture() override { told += 'b'; }
  void end_capture() override { told += 'e'; }
  void before_launch() override { told += '<'; }
  void after_launch() override { told += '>'; }
  std::string told;
};

RigOptions rig_options() {
  RigOptions options;
  options.model = narrow_resnet(model::Norm::kBatch);
  options.step.label_smoothing = 0.1;
  options.step.clip_norm = 2;
  options.optimizer.norm_bias_lr = 4;
  return options;
}

StepPlan make_plan() {
  return StepPlan({kSamples, kBatch, communicator().world_size(), /*accumulate=*/1, /*drop_last=*/false},
                  kSeed, data::AugmentOptions{}, 16, 16);
}

double rate(std::int64_t step) { return 0.05 / static_cast<double>(1 + step); }

TEST(GraphedStepMpiTest, HasTheBitsOfEagerStepsWithUnevenOnesBetween) {
  const auto images = random_images(kSamples, kSeed);
  StepPlan plan = make_plan(), same_plan = make_plan();
  GraphCommunicator recording(communicator());
  Rig graphed(recording, images, rig_options(), testing::step_plan(plan));
  Rig eager(communicator(), images, rig_options(), testing::step_plan(same_plan));
  GraphedStep step(graphed.step, recording, torch::kCPU, kBatch, model::make_device_graph(torch::kCPU));
  for (std::int64_t i = 0; i < 8; ++i) {
    const std::int64_t count = plan.at(i).count;
    const bool traced = i == 4;
    const Ballot found = step.run(graphed.batches, count, rate(i), traced);
    const Ballot expected =
        eager.step.run(eager.batches, count, torch::full({}, rate(i), torch::dtype(torch::kFloat32)));
    const bool launches = i > 0 && count == kBatch && !traced;
    EXPECT_EQ(step.launched(), launches) << "step " << i;
    EXPECT_EQ(found.count, expected.count);
    ASSERT_EQ(found.loss_sum.defined(), expected.loss_sum.defined());
    if (expected.loss_sum.defined()) {
      EXPECT_TRUE(same_bits(found.loss_sum, expected.loss_sum)) << "step " << i;
      EXPECT_TRUE(same_bits(found.correct, expected.correct)) << "step " << i;
    }
    EXPECT_TRUE(same_bits(found.grad_norm, expected.grad_norm)) << "step " << i;
    EXPECT_TRUE(same_bits(graphed.params.weights, eager.params.weights)) << "step " << i;
    EXPECT_TRUE(same_bits(graphed.params.statistics, eager.params.statistics)) << "step " << i;
    EXPECT_TRUE(same_bits(graphed.optimizer.momentum, eager.optimizer.momentum)) << "step " << i;
  }
  EXPECT_EQ(recording.told, "be<><><><>");
  EXPECT_TRUE(equal_on_all_ranks(graphed.params.weights));
}

// A number and its float32 on the device are the same rate but for the rounding of the one to the other.
TEST(GraphedStepMpiTest, TheRateOnTheDeviceIsThatOfTheSchedule) {
  const auto images = random_images(kSamples, kSeed);
  StepPlan plan = make_plan(), same_plan = make_plan();
  Rig graphed(communicator(), images, rig_options(), testing::step_plan(plan));
  Rig plain(communicator(), images, rig_options(), testing::step_plan(same_plan));
  GraphedStep step(graphed.step, communicator(), torch::kCPU, kBatch, model::make_device_graph(torch::kCPU));
  for (std::int64_t i = 0; i < 4; ++i) {
    step.run(graphed.batches, plan.at(i).count, rate(i));
    plain.step.run(plain.batches, plan.at(i).count, rate(i));
  }
  EXPECT_TRUE(step.launched());
  const double error = testing::relative_error(graphed.params.weights, plain.params.weights);
  EXPECT_LT(error, 1e-6);
  EXPECT_GT(error, 0) << "the rate of the graph is not the one on the device";
}

TEST(GraphedStepMpiTest, WhatCannotBeRecordedIsSaidWithTheKey) {
  const auto images = random_images(kSamples, kSeed);
  StepPlan plan = make_plan();
  Rig rig(communicator(), images, rig_options(), testing::step_plan(plan));
  class Refusing final : public model::DeviceGraph {
   public:
    void capture(const std::function<void()>&) override {
      TORCH_CHECK(false, "operation not permitted when stream is capturing");
    }
    void launch() override {}
  };
  GraphedStep step(rig.step, communicator(), torch::kCPU, kBatch, std::make_unique<Refusing>());
  step.run(rig.batches, kBatch, 0.1);
  try {
    step.run(rig.batches, kBatch, 0.1);
    FAIL() << "it was taken";
  } catch (const EnvironmentError& error) {
    EXPECT_NE(std::string(error.what()).find("not permitted"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("Set train.cuda_graph: false"), std::string::npos);
  }
}

}  // namespace
}  // namespace rn::train
