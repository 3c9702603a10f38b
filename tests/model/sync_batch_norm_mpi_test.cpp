#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <vector>

#include "dist/mpi_communicator.h"
#include "model/factory.h"
#include "model/flat_parameters.h"
#include "model/sync_batch_norm.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using testing::GoldenFile;
using testing::relative_error;

constexpr double kEpsilon = 1e-5;

// One for all tests of the process: its construction is collective.
dist::MpiCommunicator& communicator() {
  static std::unique_ptr<dist::MpiCommunicator> instance;
  struct Environment : ::testing::Environment {
    void TearDown() override { instance.reset(); }  // before MPI_Finalize
  };
  if (!instance) {
    instance = std::make_unique<dist::MpiCommunicator>();
    ::testing::AddGlobalTestEnvironment(new Environment);
  }
  return *instance;
}

// How 16 samples lie on the ranks, an empty rank included where there are several.
std::vector<std::int64_t> splits() {
  static const std::map<int, std::vector<std::int64_t>> by_size = {
      {1, {16}}, {2, {5, 11}}, {3, {7, 0, 9}}, {4, {3, 5, 0, 8}}};
  return by_size.at(communicator().world_size());
}

// This rank's samples of a joined tensor [16, ...].
torch::Tensor part(const torch::Tensor& joined) {
  const auto counts = splits();
  const auto rank = static_cast<std::size_t>(communicator().rank());
  const auto first = std::accumulate(counts.begin(), counts.begin() + communicator().rank(), std::int64_t{0});
  return joined.narrow(0, first, counts[rank]);
}

torch::Tensor sum_over_ranks(const torch::Tensor& mine) {
  auto total = mine.detach().to(torch::kFloat64).contiguous().clone();
  communicator()
      .all_reduce({static_cast<std::byte*>(total.data_ptr()), static_cast<std::size_t>(total.nbytes())},
                  DType::kF64)
      .wait();
  return total;
}

// The norm of the difference over all ranks, relative to the joined tensor's.
double joined_error(const torch::Tensor& mine, const torch::Tensor& joined) {
  const auto difference = (mine.detach().to(torch::kFloat64) - part(joined)).square().sum().view({1});
  return std::sqrt(sum_over_ranks(difference).item<double>()) / joined.norm().item<double>();
}

struct Tolerance {
  torch::ScalarType dtype;
  double value;
};

TEST(SyncBatchNormMpiTest, SplitBatchGivesPythonsBatchNormOnTheJoinedBatch) {
  const GoldenFile golden("batch_norm");
  for (const Tolerance& c : {Tolerance{torch::kFloat64, 1e-10}, Tolerance{torch::kFloat32, 1e-5}}) {
    for (const auto format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      SCOPED_TRACE(cat(torch::toString(c.dtype), " ", format));
      const auto x = part(golden["input"]).to(c.dtype).contiguous(format).requires_grad_();
      const auto weight = golden["weight"].to(c.dtype).requires_grad_();
      const auto bias = golden["bias"].to(c.dtype).requires_grad_();
      const auto [y, mean, variance] = sync_batch_norm(x, weight, bias, kEpsilon, communicator());
      y.backward(part(golden["output_gradient"]).to(c.dtype));
      EXPECT_LT(joined_error(y, golden["output"]), c.value);
      EXPECT_LT(joined_error(x.grad(), golden["input_gradient"]), c.value);
      EXPECT_LT(relative_error(sum_over_ranks(weight.grad()), golden["weight_gradient"]), c.value);
      EXPECT_LT(relative_error(sum_over_ranks(bias.grad()), golden["bias_gradient"]), c.value);
      EXPECT_LT(relative_error(mean, golden["mean"]), c.value);
      EXPECT_LT(relative_error(variance, golden["unbiased_variance"]), c.value);
    }
  }
}

TEST(SyncBatchNormMpiTest, Bfloat16InputKeepsFloat32Statistics) {
  const GoldenFile golden("batch_norm");
  const auto joined = golden["input"].to(torch::kBFloat16);
  const auto x = part(joined).clone().requires_grad_();
  const auto weight = golden["weight"].clone().requires_grad_(),
             bias = golden["bias"].clone().requires_grad_();
  const auto [y, mean, variance] = sync_batch_norm(x, weight, bias, kEpsilon, communicator());
  y.backward(part(golden["output_gradient"]).to(torch::kBFloat16));
  const auto wide = joined.to(torch::kFloat64);
  EXPECT_LT(relative_error(mean, wide.mean({0, 2, 3})), 1e-6);
  EXPECT_LT(relative_error(variance, wide.var({0, 2, 3}, true)), 1e-6);
  EXPECT_LT(joined_error(y, golden["output"]), 1e-2);  // bf16 has 8 bits
  EXPECT_LT(joined_error(x.grad(), golden["input_gradient"]), 1e-2);
  EXPECT_LT(relative_error(sum_over_ranks(weight.grad()), golden["weight_gradient"]), 1e-2);
}

TEST(SyncBatchNormMpiTest, MeansThatDifferBetweenRanksAreJoinedWithoutCancellation) {
  torch::manual_seed(4);
  const auto offsets = torch::arange(16, torch::kFloat64).view({16, 1, 1, 1}) * 100 + 5000;
  const auto joined = (torch::randn({16, 3, 4, 4}, torch::kFloat64) + offsets).to(torch::kFloat32);
  const auto ones = torch::ones({3}), zeros = torch::zeros({3});
  const auto [y, mean, variance] = sync_batch_norm(part(joined), ones, zeros, kEpsilon, communicator());
  const auto wide = joined.to(torch::kFloat64);
  EXPECT_LT(relative_error(mean, wide.mean({0, 2, 3})), 1e-6);
  EXPECT_LT(relative_error(variance, wide.var({0, 2, 3}, true)), 1e-5);
}

TEST(SyncBatchNormMpiTest, StatisticsHaveTheSameBitsOnAllRanks) {
  torch::manual_seed(5);
  const auto joined = torch::randn({16, 5, 3, 3});
  const auto ones = torch::ones({5}), zeros = torch::zeros({5});
  const auto [y, mean, variance] = sync_batch_norm(part(joined), ones, zeros, kEpsilon, communicator());
  const auto mine = torch::cat({mean, variance}).contiguous();
  auto all = torch::empty({communicator().world_size(), mine.numel()});
  communicator()
      .all_gather({static_cast<const std::byte*>(mine.data_ptr()), static_cast<std::size_t>(mine.nbytes())},
                  {static_cast<std::byte*>(all.data_ptr()), static_cast<std::size_t>(all.nbytes())})
      .wait();
  for (std::int64_t rank = 0; rank < all.size(0); ++rank) EXPECT_TRUE(all[rank].equal(mine)) << rank;
}

TEST(SyncBatchNormMpiTest, NoSamplesOnAnyRankGivesZeros) {
  const auto x = torch::empty({0, 3, 2, 2}).requires_grad_();
  const auto weight = torch::ones({3}).requires_grad_(), bias = torch::zeros({3}).requires_grad_();
  const auto [y, mean, variance] = sync_batch_norm(x, weight, bias, kEpsilon, communicator());
  y.sum().backward();
  EXPECT_TRUE(mean.equal(torch::zeros({3})));
  EXPECT_TRUE(variance.equal(torch::zeros({3})));
  EXPECT_TRUE(weight.grad().equal(torch::zeros({3})));
  EXPECT_EQ(x.grad().sizes(), x.sizes());
}

// The whole network: the gradient summed over the ranks is that of batch norm on the joined batch, an empty
// rank taking part in every layer's collectives.
TEST(SyncBatchNormMpiTest, NetworkGradientOfASplitBatchIsThatOfTheJoinedBatch) {
  torch::manual_seed(6);
  const auto images = torch::randn({16, 3, 16, 16}, torch::kFloat64);
  const auto labels = torch::randint(0, 10, {16});
  const auto run = [](Norm norm, const torch::Tensor& x, const torch::Tensor& y) {
    ModelOptions options;
    options.norm = norm;
    options.width = 2;
    auto net = make_network(options, 10, /*seed=*/7, &communicator());
    net->to(torch::kFloat64);
    FlatParameters params(*net, communicator(), 1 << 20);
    const auto loss =
        torch::nn::functional::cross_entropy(
            net->forward(x), y, torch::nn::functional::CrossEntropyFuncOptions().reduction(torch::kSum)) /
        16.0;
    loss.backward();
    return std::make_pair(params.gradient.clone(), params.batch_statistics.clone());
  };
  const auto [local, statistics] = run(Norm::kSyncBatch, part(images), part(labels));
  const auto [joined, joined_statistics] = run(Norm::kBatch, images, labels);
  EXPECT_LT(relative_error(sum_over_ranks(local), joined), 1e-10);
  EXPECT_LT(relative_error(statistics, joined_statistics), 1e-10);
}

}  // namespace
}  // namespace rn::model
