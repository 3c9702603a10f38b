// Steps as CUDA graphs against the same steps one kernel at a time, with NCCL inside.
#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "data/synthetic_dataset.h"
#include "gpu_testing.h"
#include "train/graphed_step.h"
#include "train/step_plan.h"
#include "train/vote.h"

namespace rn::train {
namespace {

constexpr std::int64_t kImages = 60, kBatch = 24;  // the last step of an epoch has 12 images

// One rank's network and step; `graphed` by a graph.
struct Trainee {
  Trainee(Communicator& communicator, torch::Device device, const data::ImageSet& images)
      : plan({images.size, kBatch, communicator.world_size(), /*accumulate=*/1, /*drop_last=*/false},
             /*seed=*/5, augment, images.height, images.width),
        net(make_net(communicator, device)),
        params(*net, communicator, /*bucket_cap_elements=*/1 << 14),
        optimizer(OptimizerOptions{}, params),
        scaler(Precision::kFP32, device),
        loader(images, augment, /*workers=*/1, /*prefetch=*/2,
               [this, rank = communicator.rank(), next = 0]() mutable -> std::optional<data::ShardRequest> {
                 return plan.request(next++, rank, 0);
               }),
        batches(loader, images.channels, images.height, images.width, device, torch::kFloat32),
        step(*net, params, communicator, optimizer, scaler, Precision::kFP32,
             {.label_smoothing = 0.1, .clip_norm = 5.0}) {
    net->train();
  }

  static std::shared_ptr<model::Network> make_net(Communicator& communicator, torch::Device device) {
    model::ModelOptions options;
    options.width = 8;
    auto net = model::make_network(options, /*classes=*/10, /*seed=*/3, &communicator);
    net->to(device);
    return net;
  }

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

class GraphedStepGpuTest : public rn::testing::GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    before_.emplace(streams_.getStream(device()));
    model::use_own_stream(device());
    gpu().set_compute_stream(model::current_stream(device()));
    at::globalContext().setDeterministicCuDNN(true);
  }
  void TearDown() override {
    if (!before_) return;
    streams_.exchangeStream(*before_);
    gpu().set_compute_stream(model::current_stream(device()));
    at::globalContext().setDeterministicCuDNN(false);
  }

  const data::ImageSet images = data::make_synthetic(kImages, data::SyntheticSplit::kTrain, /*seed=*/1);

 private:
  const c10::impl::VirtualGuardImpl streams_{torch::kCUDA};
  std::optional<c10::Stream> before_;  // where the tests around compute
};

bool same_bits(const torch::Tensor& a, const torch::Tensor& b) { return a.cpu().equal(b.cpu()); }

TEST_F(GraphedStepGpuTest, HasTheBitsOfEagerSteps) {
  Trainee graphed(gpu(), device(), images), eager(gpu(), device(), images);
  GraphedStep step(graphed.step, gpu(), device(), kBatch, model::make_device_graph(device()));
  Vote vote(gpu(), device());
  int launches = 0;
  for (std::int64_t i = 0; i < 8; ++i) {
    const double rate = 0.05 / static_cast<double>(1 + i);
    const std::int64_t count = graphed.plan.at(i).count;
    const Ballot found = step.run(graphed.batches, count, rate);
    launches += step.launched() ? 1 : 0;
    vote.start(i, found);  // a collective between two launches, as in a run
    const Ballot expected = eager.step.run(
        eager.batches, count, torch::full({}, rate, torch::dtype(torch::kFloat32).device(device())));
    EXPECT_EQ(found.count, expected.count);
    if (expected.loss_sum.defined()) {
      EXPECT_TRUE(same_bits(found.loss_sum, expected.loss_sum)) << "step " << i;
    }
    EXPECT_TRUE(same_bits(graphed.params.weights, eager.params.weights)) << "step " << i;
    EXPECT_TRUE(same_bits(graphed.params.statistics, eager.params.statistics)) << "step " << i;
    EXPECT_TRUE(same_bits(graphed.optimizer.momentum, eager.optimizer.momentum)) << "step " << i;
  }
  vote.drain();
  EXPECT_EQ(launches, 5);  // steps 1, 3, 4, 6 and 7: 2 and 5 end their epochs, 0 was the first
}

}  // namespace
}  // namespace rn::train
