#include "model/flat_parameters.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>

#include "core/error.h"
#include "kernels/cpu_features.h"
#include "model/convolution.h"
#include "model/factory.h"
#include "model/norm.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using testing::relative_error;
using testing::WatchedCommunicator;

constexpr std::int64_t kBucketCap = 1 << 12;

std::shared_ptr<Network> small_net(std::uint64_t seed = 1, Norm norm = Norm::kBatch) {
  ModelOptions options;
  options.width = 4;
  options.norm = norm;
  options.group_norm_groups = 2;
  return make_network(options, 10, seed, nullptr);
}

torch::Tensor images(std::uint64_t seed) {
  torch::manual_seed(seed);
  return torch::randn({3, 3, 16, 16});
}

// True where a storage holds padding.
torch::Tensor padding_mask(const FlatParameters& params) {
  auto mask = torch::ones({params.layout().size()}, torch::kBool);
  for (const FlatEntry& entry : params.layout().entries())
    mask.narrow(0, entry.offset, entry.numel).fill_(false);
  return mask;
}

TEST(FlatParametersTest, KeepsTheValuesOfParametersAndStatistics) {
  const auto untouched = small_net(), net = small_net();
  for (const auto& buffer : net->buffers()) buffer.add_(0.25);
  WatchedCommunicator communicator;
  const FlatParameters params(*net, communicator, kBucketCap);
  const auto expected = untouched->named_parameters();
  for (const auto& item : net->named_parameters())
    EXPECT_TRUE(item.value().equal(expected[item.key()])) << item.key();
  const auto buffers = untouched->named_buffers();
  for (const auto& item : net->named_buffers()) {
    EXPECT_TRUE(item.value().equal(buffers[item.key()] + 0.25)) << item.key();
  }
}

TEST(FlatParametersTest, ParametersGradientsAndStatisticsAreViews) {
  const auto net = small_net();
  WatchedCommunicator communicator;
  FlatParameters params(*net, communicator, kBucketCap);
  params.weights.fill_(2);
  params.gradient.fill_(3);
  params.statistics.fill_(4);
  for (const auto& item : net->named_parameters()) {
    EXPECT_TRUE(item.value().eq(2).all().item<bool>()) << item.key();
    EXPECT_TRUE(item.value().grad().eq(3).all().item<bool>()) << item.key();
    EXPECT_TRUE(item.value().is_leaf() && item.value().requires_grad()) << item.key();
  }
  for (const auto& item : net->named_buffers())
    EXPECT_TRUE(item.value().eq(4).all().item<bool>()) << item.key();
  for (std::size_t i = 0; i < params.layout().entries().size(); ++i) {
    const FlatEntry& entry = params.layout().entries()[i];
    const auto* parameter = net->named_parameters().find(entry.spec.name);
    ASSERT_NE(parameter, nullptr) << entry.spec.name;
    EXPECT_EQ(parameter->unsafeGetTensorImpl(), params.parameter(i).unsafeGetTensorImpl());
    EXPECT_EQ(parameter->data_ptr<float>(), params.weights.data_ptr<float>() + entry.offset);
    EXPECT_EQ(parameter->grad().data_ptr<float>(), params.gradient.data_ptr<float>() + entry.offset);
  }
}

TEST(FlatParametersTest, BackwardAccumulatesInPlaceWhatAutogradComputes) {
  const auto plain = small_net(), net = small_net();
  WatchedCommunicator communicator;
  FlatParameters params(*net, communicator, kBucketCap);
  for (const std::uint64_t seed : {1, 2}) {
    plain->forward(images(seed)).square().sum().backward();
    net->forward(images(seed)).square().sum().backward();
  }
  const auto expected = plain->named_parameters();
  for (const FlatEntry& entry : params.layout().entries()) {
    EXPECT_LT(relative_error(params.view(params.gradient, entry), expected[entry.spec.name].grad()), 1e-5)
        << entry.spec.name;
  }
  for (std::size_t i = 0; i < params.layout().entries().size(); ++i) {
    EXPECT_EQ(params.parameter(i).grad().data_ptr<float>(),
              params.gradient.data_ptr<float>() + params.layout().entries()[i].offset);
  }
}

// Two shards, then another step: what lay in the gradient before does not matter, nothing is lost or doubled.
TEST(FlatParametersTest, AStepsGradientNeedsNoZeroes) {
  for (const int width : {4, 16}) {  // LibTorch's convolutions; those that write into their slots
    ModelOptions options;
    options.width = width;
    const auto plain = make_network(options, 10, 1, nullptr), net = make_network(options, 10, 1, nullptr);
    WatchedCommunicator communicator;
    FlatParameters params(*net, communicator, kBucketCap);
    for (const std::uint64_t step : {1, 2}) {
      plain->zero_grad();
      params.begin_gradient();
      for (const std::uint64_t shard : {0, 1}) {
        const auto x = images(2 * step + shard);
        plain->forward(x).square().sum().backward();
        net->forward(x).square().sum().backward();
        if (step == 2) params.settle_gradient();  // between shards as a hook does, or at the end alone
      }
      params.settle_gradient();
      const auto expected = plain->named_parameters();
      for (std::size_t i = 0; i < params.layout().entries().size(); ++i) {
        const FlatEntry& entry = params.layout().entries()[i];
        EXPECT_LT(relative_error(params.view(params.gradient, entry), expected[entry.spec.name].grad()), 1e-5)
            << entry.spec.name << ", step " << step;
        EXPECT_EQ(params.parameter(i).grad().data_ptr<float>(),
                  params.gradient.data_ptr<float>() + entry.offset);
      }
      const auto padding = params.gradient.masked_select(padding_mask(params));
      EXPECT_TRUE(padding.eq(0).all().item<bool>());
    }
  }
}

TEST(FlatParametersTest, WhatNoBackwardPassReachesIsZero) {
  const auto net = small_net();
  WatchedCommunicator communicator;
  FlatParameters params(*net, communicator, kBucketCap);
  net->forward(images(1)).square().sum().backward();
  params.begin_gradient();
  net->named_parameters()["fc.bias"].sum().backward();
  params.settle_gradient();
  for (const FlatEntry& entry : params.layout().entries()) {
    EXPECT_TRUE(
        params.view(params.gradient, entry).eq(entry.spec.name == "fc.bias" ? 1 : 0).all().item<bool>())
        << entry.spec.name;
  }
}

// One layer, whose kernel is our own where the CPU has what it needs.
struct OneConvolution : torch::nn::Module {
  OneConvolution() : convolution(register_module("convolution", Convolution(ModelOptions(), 16, 32, 3, 1))) {}
  Convolution convolution;
};

TEST(FlatParametersTest, OwnKernelsWriteIntoTheGradient) {
  if (!kernels::avx512_available()) GTEST_SKIP() << "this CPU has no AVX-512";
  OneConvolution net, plain;
  WatchedCommunicator communicator;
  FlatParameters params(net, communicator, kBucketCap);
  plain.convolution->weight.set_data(params.parameter(0).detach().clone(at::MemoryFormat::Preserve));
  const auto x = torch::randn({2, 16, 8, 8});
  params.begin_gradient();
  params.gradient.fill_(std::numeric_limits<float>::quiet_NaN());
  net.convolution->forward(x).sum().backward();
  EXPECT_EQ(params.parameter(0).grad().data_ptr<float>(), params.gradient.data_ptr<float>());
  plain.convolution->forward(x).sum().backward();
  EXPECT_TRUE(params.parameter(0).grad().equal(plain.convolution->weight.grad()));
  // A weight that is used twice has two gradients, of which one lies there.
  params.begin_gradient();
  (net.convolution->forward(x).sum() + net.convolution->forward(2 * x).sum()).backward();
  params.settle_gradient();
  EXPECT_LT(relative_error(params.parameter(0).grad(), 3 * plain.convolution->weight.grad()), 1e-6);
}

TEST(FlatParametersTest, AnUpdateOfTheFlatWeightsChangesTheNetwork) {
  const auto net = small_net();
  WatchedCommunicator communicator;
  FlatParameters params(*net, communicator, kBucketCap);
  const auto x = images(3);
  const auto before = net->forward(x);
  before.square().sum().backward();
  params.weights.sub_(params.gradient, 1e-3);  // must not disturb autograd's version counters
  const auto after = net->forward(x);
  EXPECT_FALSE(after.equal(before));
  after.square().sum().backward();
}

TEST(FlatParametersTest, PaddingStaysZero) {
  const auto net = small_net();
  WatchedCommunicator communicator;
  FlatParameters params(*net, communicator, kBucketCap);
  const auto mask = padding_mask(params);
  ASSERT_GT(mask.sum().item<std::int64_t>(), 0);
  auto momentum = params.make_storage();
  for (const std::uint64_t seed : {4, 5}) {
    net->forward(images(seed)).square().sum().backward();
    momentum.mul_(0.9).add_(params.gradient);
    params.weights.sub_(momentum, 1e-3);
  }
  for (const auto& storage : {params.weights, params.gradient, momentum}) {
    EXPECT_TRUE(storage.masked_select(mask).eq(0).all().item<bool>());
    EXPECT_FALSE(storage.masked_select(~mask).eq(0).all().item<bool>());
  }
}

TEST(FlatParametersTest, ConvolutionWeightsAreChannelsLast) {
  const auto net = small_net();
  WatchedCommunicator communicator;
  const FlatParameters params(*net, communicator, kBucketCap);
  int convolutions = 0;
  for (const auto& item : net->named_parameters()) {
    const auto& parameter = item.value();
    if (parameter.dim() != 4) {
      EXPECT_TRUE(parameter.is_contiguous()) << item.key();
      continue;
    }
    ++convolutions;
    EXPECT_TRUE(parameter.is_contiguous(at::MemoryFormat::ChannelsLast)) << item.key();
    EXPECT_TRUE(parameter.grad().is_contiguous(at::MemoryFormat::ChannelsLast)) << item.key();
    EXPECT_EQ(parameter.strides(), torch::empty(parameter.sizes(), at::MemoryFormat::ChannelsLast).strides())
        << item.key();
  }
  EXPECT_EQ(convolutions, 20);
}

TEST(FlatParametersTest, GroupsFollowTheRoleOfAParameter) {
  const auto net = small_net();
  net->named_parameters()["layer1.0.conv1.weight"].set_requires_grad(false);
  WatchedCommunicator communicator;
  const FlatParameters params(*net, communicator, kBucketCap);
  for (const FlatEntry& entry : params.layout().entries()) {
    const std::string& name = entry.spec.name;
    const int expected = name == "layer1.0.conv1.weight" ? kFrozenGroup
                         : name == "fc.bias"             ? kPlainGroup
                         : name.ends_with(".bias")       ? kShiftGroup
                         : entry.spec.shape.size() == 1  ? kPlainGroup
                                                         : kDecayGroup;
    EXPECT_EQ(entry.spec.group, expected) << name;
  }
  EXPECT_EQ(params.layout().group_count(), 4);
}

TEST(FlatParametersTest, LayoutDependsOnTheModelOnly) {
  WatchedCommunicator communicator;
  const FlatParameters first(*small_net(1), communicator, kBucketCap),
      second(*small_net(2), communicator, kBucketCap);
  EXPECT_EQ(first.layout().fingerprint(), second.layout().fingerprint());
  ModelOptions wider;
  wider.width = 5;
  const FlatParameters other(*make_network(wider, 10, 1, nullptr), communicator, kBucketCap);
  EXPECT_NE(first.layout().fingerprint(), other.layout().fingerprint());
}

TEST(FlatParametersTest, TrainingForwardFillsBatchStatisticsAndLeavesStatistics) {
  const auto net = small_net();
  WatchedCommunicator communicator;
  FlatParameters params(*net, communicator, kBucketCap);
  const auto running = params.statistics.clone();
  EXPECT_TRUE(params.batch_statistics.eq(0).all().item<bool>());
  const auto x = images(6);
  net->forward(x);
  EXPECT_TRUE(params.statistics.equal(running));
  ASSERT_EQ(params.statistic_entries().size(), 40U);
  std::int64_t end = 0;
  for (const auto& entry : params.statistic_entries()) {
    EXPECT_EQ(entry.offset, end) << entry.name;
    end += entry.numel;
    const auto value = params.view(params.batch_statistics, entry);
    EXPECT_FALSE(value.eq(0).any().item<bool>()) << entry.name;
  }
  EXPECT_EQ(end, params.statistics.numel());
  const auto& first = params.statistic_entries().front();
  EXPECT_EQ(first.name, "bn1.running_mean");
  const auto stem = at::conv2d(x, net->named_parameters()["conv1.weight"], {}, 1, 1);
  EXPECT_LT(relative_error(params.view(params.batch_statistics, first), stem.mean({0, 2, 3})), 1e-4);
}

// The sum over shards may be read and cleared between forward and backward.
TEST(FlatParametersTest, BatchStatisticsAreNoPartOfTheGraph) {
  const auto net = small_net();
  WatchedCommunicator communicator;
  FlatParameters params(*net, communicator, kBucketCap);
  auto sum = torch::zeros_like(params.statistics);
  const auto loss = net->forward(images(7)).square().sum();
  sum.add_(params.batch_statistics, 3.0);
  params.batch_statistics.zero_();
  params.statistics.lerp_(sum / 3.0, kNormMomentum);
  EXPECT_FALSE(sum.requires_grad());
  EXPECT_NO_THROW(loss.backward());
}

TEST(FlatParametersTest, GroupNormHasNoStatistics) {
  const auto net = small_net(1, Norm::kGroup);
  WatchedCommunicator communicator;
  const FlatParameters params(*net, communicator, kBucketCap);
  EXPECT_EQ(params.statistics.numel(), 0);
  EXPECT_EQ(params.batch_statistics.numel(), 0);
  EXPECT_TRUE(params.statistic_entries().empty());
}

TEST(FlatParametersTest, FollowsAFloat64Network) {
  const auto net = small_net();
  net->to(torch::kFloat64);
  WatchedCommunicator communicator;
  const FlatParameters params(*net, communicator, kBucketCap);
  for (const auto& tensor : {params.weights, params.gradient, params.statistics, params.batch_statistics}) {
    EXPECT_EQ(tensor.scalar_type(), torch::kFloat64);
  }
  EXPECT_EQ(params.gradient_bytes().size(), 8U * static_cast<std::size_t>(params.layout().size()));
  net->forward(images(8).to(torch::kFloat64)).sum().backward();
  EXPECT_GT(params.gradient.norm().item<double>(), 0);
}

TEST(FlatParametersTest, TheGradientLiesInTheCommunicatorsMemoryAndKeepsIt) {
  const auto net = small_net();
  WatchedCommunicator communicator;
  std::optional<FlatParameters> params(std::in_place, *net, communicator, kBucketCap);
  ASSERT_FALSE(communicator.allocated.expired());
  EXPECT_EQ(params->gradient_bytes().data(), communicator.allocated.lock()->bytes().data());
  EXPECT_EQ(static_cast<void*>(params->gradient_bytes().data()), params->gradient.data_ptr());
  params.reset();
  EXPECT_FALSE(communicator.allocated.expired()) << "the network's gradients and slots still point into it";
  for (const auto& parameter : net->parameters()) parameter.mutable_grad() = torch::Tensor();
  for (const auto& module : net->modules()) {
    if (auto* const layer = dynamic_cast<SlottedLayer*>(module.get())) layer->slot.reset();
  }
  EXPECT_TRUE(communicator.allocated.expired());
}

TEST(FlatParametersTest, ACommunicatorOfAnotherDeviceLendsNoMemory) {
  const auto net = small_net();
  WatchedCommunicator communicator(/*claims_device=*/true);
  const FlatParameters params(*net, communicator, kBucketCap);
  EXPECT_TRUE(communicator.allocated.expired());
  EXPECT_TRUE(params.gradient.device().is_cpu());
  EXPECT_TRUE(params.gradient.eq(0).all().item<bool>());
}

TEST(FlatParametersTest, StoragesOfAnotherTypeShareTheLayout) {
  const auto net = small_net();
  WatchedCommunicator communicator;
  const FlatParameters params(*net, communicator, kBucketCap);
  auto half = params.make_storage(torch::kBFloat16);
  half.copy_(params.weights);
  const FlatEntry& entry = params.layout().entry("layer4.1.conv2.weight");
  EXPECT_TRUE(params.view(half, entry).equal(params.view(params.weights, entry).to(torch::kBFloat16)));
  EXPECT_THROW(params.view(params.weights.narrow(0, 0, 64), entry), InternalError);
}

TEST(FlatParametersTest, RefusesModelsThatItCannotHold) {
  WatchedCommunicator communicator;
  torch::nn::Sequential foreign(torch::nn::Conv2d(3, 4, 3), torch::nn::BatchNorm2d(4));
  EXPECT_THROW(FlatParameters(*foreign, communicator, kBucketCap),
               InternalError);  // statistics nobody would update
  torch::nn::Sequential mixed(torch::nn::Linear(2, 2), torch::nn::Linear(2, 2));
  mixed->ptr(1)->to(torch::kFloat64);
  EXPECT_THROW(FlatParameters(*mixed, communicator, kBucketCap), InternalError);
  torch::nn::Sequential empty(torch::nn::ReLU{});
  EXPECT_THROW(FlatParameters(*empty, communicator, kBucketCap), InternalError);
}

}  // namespace
}  // namespace rn::model
