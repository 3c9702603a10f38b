#include "model/resnet.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "dist/single_communicator.h"
#include "model/factory.h"
#include "model/flat_parameters.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using testing::relative_error;
using Shapes = std::map<std::string, std::vector<std::int64_t>>;

ModelOptions named(const std::string& name, const std::string& stem, Norm norm) {
  ModelOptions options;
  options.name = name;
  options.stem = stem;
  options.norm = norm;
  return options;
}

Shapes shapes_of(torch::nn::Module& net) {
  Shapes shapes;
  for (const auto& item : net.named_parameters()) shapes.emplace(item.key(), item.value().sizes().vec());
  for (const auto& item : net.named_buffers()) shapes.emplace(item.key(), item.value().sizes().vec());
  return shapes;
}

// Lines "name 64 3 7 7" as written by make_model_golden.py.
Shapes read_shapes(const std::string& name) {
  std::ifstream in(cat(RN_TEST_DATA_DIR, "/model/", name, ".shapes.txt"));
  Shapes shapes;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream words(line);
    std::string key;
    words >> key;
    auto& shape = shapes[key];
    for (std::int64_t size; words >> size;) shape.push_back(size);
  }
  EXPECT_FALSE(shapes.empty()) << name;
  return shapes;
}

TEST(ResNetTest, HasTorchvisionsNamesAndShapes) {
  for (const auto& [stem, classes] : {std::pair("cifar", 10), std::pair("imagenet", 1000)}) {
    auto net = make_network(named("resnet18", stem, Norm::kBatch), classes, 1, nullptr);
    EXPECT_EQ(shapes_of(*net), read_shapes(cat("resnet18_", stem))) << stem;
  }
}

TEST(ResNetTest, HasThePublishedSize) {
  struct Expected {
    const char* name;
    const char* stem;
    int classes;
    std::int64_t parameters, statistics;
  };
  dist::SingleCommunicator single;
  for (const Expected& e : {Expected{"resnet18", "cifar", 10, 11'173'962, 9'600},
                            Expected{"resnet18", "imagenet", 1000, 11'689'512, 9'600},
                            Expected{"resnet9", "cifar", 10, 6'573'120, 4'480}}) {
    auto net = make_network(named(e.name, e.stem, Norm::kBatch), e.classes, 1, nullptr);
    FlatParameters params(*net, single, 1 << 21);
    EXPECT_EQ(params.layout().numel(), e.parameters) << e.name << " " << e.stem;
    EXPECT_EQ(params.statistics.numel(), e.statistics) << e.name << " " << e.stem;
  }
}

TEST(ResNetTest, ModelOrderIsTheDeclaredOne) {
  dist::SingleCommunicator single;
  auto net = make_network(named("resnet18", "cifar", Norm::kBatch), 10, 1, nullptr);
  FlatParameters params(*net, single, 1 << 21);
  const auto name = [&](std::size_t i) {
    return params.layout().entries()[params.model_order()[i]].spec.name;
  };
  ASSERT_EQ(params.model_order().size(), 62U);
  EXPECT_EQ(name(0), "conv1.weight");
  EXPECT_EQ(name(1), "bn1.weight");
  EXPECT_EQ(name(3), "layer1.0.conv1.weight");
  EXPECT_EQ(name(61), "fc.bias");
}

// The same numbers whatever the memory format of the images.
TEST(ResNetTest, TakesImagesOfAnyMemoryFormat) {
  for (const char* name : {"resnet18", "resnet9"}) {
    auto options = named(name, "cifar", Norm::kBatch);
    options.width = 4;
    auto net = make_network(options, 10, 1, nullptr);
    net->eval();
    torch::manual_seed(2);
    const auto images = torch::randn({2, 3, 32, 32});
    const auto expected = net->forward(images);
    EXPECT_EQ(expected.sizes(), (std::vector<std::int64_t>{2, 10}));
    EXPECT_TRUE(net->forward(images.contiguous(at::MemoryFormat::ChannelsLast)).equal(expected)) << name;
  }
}

class EmptyBatchTest : public ::testing::TestWithParam<std::tuple<std::string, Norm, bool>> {};

// A rank without samples still runs (sync_batch), also under autocast.
TEST_P(EmptyBatchTest, GivesZeroGradients) {
  const auto& [name, norm, autocast] = GetParam();
  dist::SingleCommunicator single;
  auto options = named(name, "cifar", norm);
  options.width = 8;
  options.group_norm_groups = 4;
  auto net = make_network(options, 10, 1, &single);
  FlatParameters params(*net, single, 1 << 20);
  at::autocast::set_autocast_dtype(at::kCPU, torch::kBFloat16);
  const auto run = [&, on = autocast](std::int64_t n) {
    params.gradient.zero_();
    at::autocast::set_autocast_enabled(at::kCPU, on);
    const auto logits = net->forward(torch::ones({n, 3, 32, 32}));
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
    EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{n, 10}));
    logits.to(torch::kFloat32).sum().backward();
    return params.gradient.abs().sum().item<float>();
  };
  EXPECT_EQ(run(0), 0.0F);
  EXPECT_GT(run(2), 0.0F);
}

INSTANTIATE_TEST_SUITE_P(ResNet, EmptyBatchTest,
                         ::testing::Combine(::testing::Values("resnet18", "resnet9"),
                                            ::testing::Values(Norm::kBatch, Norm::kSyncBatch, Norm::kGroup),
                                            ::testing::Bool()));

TEST(ResNetTest, ZeroInitialisedResidualsMakeEachBlockAnIdentity) {
  auto options = named("resnet18", "cifar", Norm::kBatch);
  options.width = 4;
  options.zero_init_residual = true;
  auto net = make_network(options, 10, 1, nullptr);
  int zeros = 0;
  for (const auto& item : net->named_parameters()) {
    if (!item.key().ends_with("bn2.weight")) continue;
    EXPECT_TRUE(item.value().equal(torch::zeros_like(item.value()))) << item.key();
    ++zeros;
  }
  EXPECT_EQ(zeros, 8);
}

}  // namespace
}  // namespace rn::model
