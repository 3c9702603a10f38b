// Training against PyTorch's DistributedDataParallel on 2 ranks: tools/golden/make_ddp_golden.py.
#include <gtest/gtest.h>

#include "train_mpi_testing.h"

namespace rn::train {
namespace {

using testing::communicator;
using testing::GoldenFile;
using testing::Rig;

void expect_ddps_weights(torch::ScalarType dtype, int accumulate, double tolerance) {
  const GoldenFile golden("ddp");
  const auto pixels = golden["pixels"].contiguous(), labels = golden["labels"], counts = golden["counts"];
  data::ImageSet images;
  images.size = pixels.size(0);
  images.height = images.width = static_cast<int>(pixels.size(2));
  images.pixels.assign(pixels.const_data_ptr<std::uint8_t>(),
                       pixels.const_data_ptr<std::uint8_t>() + pixels.numel());
  for (std::int64_t i = 0; i < images.size; ++i) {
    images.labels.push_back(static_cast<std::uint8_t>(labels[i].item<std::int64_t>()));
  }
  std::vector<std::int64_t> firsts = {0};
  for (std::int64_t i = 0; i < counts.numel(); ++i) {
    firsts.push_back(firsts.back() + counts[i].item<std::int64_t>());
  }

  testing::RigOptions options;
  options.model = testing::narrow_resnet(model::Norm::kGroup);
  options.model.width = 2;
  options.model.group_norm_groups = 2;
  options.dtype = dtype;
  options.bucket_cap = 1 << 10;
  options.augment.normalize = "half";
  options.optimizer.weight_decay = 5e-4;
  options.step.accumulate = accumulate;
  options.step.label_smoothing = 0.1;
  const int ranks = communicator().world_size();
  Rig rig(communicator(), images, options, [&](std::int64_t step, int rank, int micro_step) {
    data::ShardRequest request;
    if (step + 1 >= static_cast<std::int64_t>(firsts.size())) return request;  // the loader runs ahead
    const auto at = static_cast<std::size_t>(step);
    const auto shard =
        shard_range(firsts[at + 1] - firsts[at], micro_step * ranks + rank, ranks * accumulate);
    for (std::int64_t i = shard.begin; i < shard.end; ++i) request.indices.push_back(firsts[at] + i);
    return request;
  });
  {
    const torch::NoGradGuard no_grad;
    for (const FlatEntry& entry : rig.params.layout().entries()) {
      rig.params.view(rig.params.weights, entry).copy_(golden["before/" + entry.spec.name]);
    }
  }
  for (std::size_t step = 0; step + 1 < firsts.size(); ++step) {
    const std::int64_t count = firsts[step + 1] - firsts[step];
    const Ballot ballot = rig.step.run(rig.batches, count, /*lr=*/0.05);
    auto loss = torch::zeros({1}, torch::kFloat64);
    if (ballot.loss_sum.defined()) loss.fill_(ballot.loss_sum.item<double>() / static_cast<double>(count));
    communicator().all_reduce({static_cast<std::byte*>(loss.data_ptr()), loss.nbytes()}, DType::kF64).wait();
    const double expected = golden["losses"][static_cast<std::int64_t>(step)].item<double>();
    EXPECT_NEAR(loss.item<double>(), expected, tolerance * expected) << "step " << step;
  }
  for (const FlatEntry& entry : rig.params.layout().entries()) {
    EXPECT_LT(testing::relative_error(rig.params.view(rig.params.weights, entry),
                                      golden["after/" + entry.spec.name]),
              tolerance)
        << entry.spec.name << ", accumulate " << accumulate;
  }
  EXPECT_TRUE(testing::equal_on_all_ranks(rig.params.weights));
}

TEST(DdpGoldenMpiTest, AnyRankCountEndsWithTheWeightsOfDistributedDataParallelInFloat64) {
  for (int accumulate = 1; accumulate <= 3; ++accumulate) {
    expect_ddps_weights(torch::kFloat64, accumulate, 1e-9);
  }
}

TEST(DdpGoldenMpiTest, AnyRankCountEndsWithTheWeightsOfDistributedDataParallelInFloat32) {
  expect_ddps_weights(torch::kFloat32, 1, 1e-4);
}

}  // namespace
}  // namespace rn::train
