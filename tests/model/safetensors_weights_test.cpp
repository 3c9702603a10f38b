#include "model/safetensors_weights.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "core/error.h"
#include "model/factory.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using testing::tensor_of;

// A small network and its flat tensors.
struct Model {
  explicit Model(std::uint64_t seed, int classes = 10, Norm norm = Norm::kBatch)
      : net(make(seed, classes, norm)), params(*net, communicator, 1 << 12) {
    torch::manual_seed(seed);
    params.statistics.uniform_(0.5, 1.5);
  }
  static std::shared_ptr<Network> make(std::uint64_t seed, int classes, Norm norm) {
    ModelOptions options;
    options.width = 4;
    options.norm = norm;
    options.group_norm_groups = 2;
    return make_network(options, classes, seed, nullptr);
  }
  std::vector<NamedTensor> collect() const {
    return collect_weights(params, params.weights, params.statistics, /*batches_tracked=*/17);
  }

  dist::SingleCommunicator communicator;
  std::shared_ptr<Network> net;
  FlatParameters params;
};

// A file in memory; `tensors` must outlive it.
io::SafetensorsFile file_of(const std::vector<NamedTensor>& tensors) {
  io::SafetensorsFile file;
  file.tensors = tensor_views(tensors);
  return file;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

TEST(SafetensorsWeightsTest, WhatIsWrittenIsReadBackBitByBit) {
  const Model source(1);
  Model target(2);
  ASSERT_FALSE(target.params.weights.equal(source.params.weights));
  const auto path = std::filesystem::temp_directory_path() / cat("rn_weights_", ::getpid(), ".safetensors");
  const auto tensors = source.collect();
  {
    auto out = io::posix_file_system().create(path);
    io::write_safetensors(*out, tensor_views(tensors), {{"format", "pt"}});
    out->close();
  }
  const auto file = io::read_safetensors(io::posix_file_system(), path);
  std::filesystem::remove(path);
  const auto report = load_weights(target.params, file, path.string(), LoadMode::kStrict);
  EXPECT_TRUE(report.complete()) << report.describe();
  EXPECT_EQ(report.loaded.size(), 62U + 40U);
  EXPECT_TRUE(target.params.weights.equal(source.params.weights));
  EXPECT_TRUE(target.params.statistics.equal(source.params.statistics));
}

TEST(SafetensorsWeightsTest, CollectsTheWholeStateDict) {
  const Model model(3);
  const auto tensors = model.collect();
  ASSERT_EQ(tensors.size(), 62U + 40U + 20U);
  EXPECT_EQ(tensors.front().name, "conv1.weight");
  const auto parameters = model.net->named_parameters();
  int counters = 0;
  for (const NamedTensor& tensor : tensors) {
    EXPECT_TRUE(tensor.value.is_contiguous()) << tensor.name;
    if (tensor.name.ends_with(".num_batches_tracked")) {
      ++counters;
      EXPECT_EQ(tensor.value.scalar_type(), torch::kInt64);
      EXPECT_EQ(tensor.value.dim(), 0);
      EXPECT_EQ(tensor.value.item<std::int64_t>(), 17);
    } else if (const auto* parameter = parameters.find(tensor.name)) {
      EXPECT_TRUE(tensor.value.equal(*parameter)) << tensor.name;
    }
  }
  EXPECT_EQ(counters, 20);
}

TEST(SafetensorsWeightsTest, FilesAreRowMajorThoughWeightsAreChannelsLast) {
  const Model model(4);
  const auto tensors = model.collect();
  const auto views = tensor_views(tensors);
  const auto weight = model.net->named_parameters()["layer2.0.conv1.weight"];  // [8, 4, 3, 3]
  const auto view = std::find_if(views.begin(), views.end(),
                                 [](const auto& v) { return v.name == "layer2.0.conv1.weight"; });
  ASSERT_NE(view, views.end());
  float value = 0;
  std::memcpy(&value, view->bytes.data() + 4 * (((5 * 4 + 2) * 3 + 1) * 3 + 2), 4);
  EXPECT_EQ(value, (weight[5][2][1][2].item<float>()));
}

TEST(SafetensorsWeightsTest, CollectsOtherStoragesOfTheLayout) {
  const Model model(5);
  const auto average = model.params.weights * 2, statistics = model.params.statistics * 3;
  const auto tensors = collect_weights(model.params, average, statistics, 0);
  EXPECT_TRUE(tensors[0].value.equal(model.net->named_parameters()["conv1.weight"] * 2));
  const auto mean = std::find_if(tensors.begin(), tensors.end(),
                                 [](const auto& t) { return t.name == "bn1.running_mean"; });
  ASSERT_NE(mean, tensors.end());
  EXPECT_TRUE(mean->value.equal(model.net->named_buffers()["bn1.running_mean"] * 3));
}

TEST(SafetensorsWeightsTest, ConvertsTheFloatTypes) {
  const Model source(6);
  for (const auto dtype : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16}) {
    auto tensors = source.collect();
    for (NamedTensor& tensor : tensors) {
      if (tensor.value.is_floating_point()) tensor.value = tensor.value.to(dtype);
    }
    Model target(7);
    load_weights(target.params, file_of(tensors), "memory", LoadMode::kStrict);
    EXPECT_TRUE(target.params.weights.equal(source.params.weights.to(dtype).to(torch::kFloat32))) << dtype;
    EXPECT_TRUE(target.params.statistics.equal(source.params.statistics.to(dtype).to(torch::kFloat32)))
        << dtype;
  }
}

TEST(SafetensorsWeightsTest, ReadsTensorsAtOddAddresses) {
  const Model source(8);
  Model target(9);
  const auto tensors = source.collect();
  auto file = file_of(tensors);
  std::vector<std::vector<std::byte>> shifted;
  for (auto& tensor : file.tensors) {
    auto& bytes = shifted.emplace_back(tensor.bytes.size() + 1);
    std::copy(tensor.bytes.begin(), tensor.bytes.end(), bytes.begin() + 1);
    tensor.bytes = std::span(bytes).subspan(1);
  }
  load_weights(target.params, file, "memory", LoadMode::kStrict);
  EXPECT_TRUE(target.params.weights.equal(source.params.weights));
}

TEST(SafetensorsWeightsTest, InitFromLeavesAHeadOfOtherClassesFresh) {
  const Model source(10, /*classes=*/100);
  Model target(11, /*classes=*/10);
  const auto fresh = target.net->named_parameters()["fc.weight"].detach().clone();
  const auto tensors = source.collect();
  const auto report = load_weights(target.params, file_of(tensors), "big.safetensors", LoadMode::kInitFrom);
  EXPECT_EQ(report.loaded.size(), 100U);
  ASSERT_EQ(report.other_shape.size(), 2U);
  EXPECT_EQ(report.other_shape[0].name, "fc.weight");
  EXPECT_EQ(report.other_shape[0].in_file, (std::vector<std::int64_t>{100, 32}));
  EXPECT_EQ(report.other_shape[0].in_model, (std::vector<std::int64_t>{10, 32}));
  EXPECT_TRUE(report.missing.empty() && report.skipped.empty()) << report.describe();
  EXPECT_NE(report.describe().find("fc.weight ([100, 32] in the file, [10, 32] here)"), std::string::npos)
      << report.describe();
  EXPECT_TRUE(target.net->named_parameters()["fc.weight"].equal(fresh));
  EXPECT_TRUE(
      target.net->named_parameters()["conv1.weight"].equal(source.net->named_parameters()["conv1.weight"]));
}

TEST(SafetensorsWeightsTest, InitFromReportsWhatOneSideLacks) {
  const Model source(12);  // batch norm
  Model target(13, 10, Norm::kGroup);
  auto tensors = source.collect();
  std::erase_if(tensors, [](const auto& t) { return t.name == "fc.bias"; });
  const auto report = load_weights(target.params, file_of(tensors), "memory", LoadMode::kInitFrom);
  EXPECT_EQ(report.missing, std::vector<std::string>{"fc.bias"});
  EXPECT_EQ(report.skipped.size(), 40U);  // running statistics; the batch counters are not worth a word
  EXPECT_EQ(report.loaded.size(), 61U);
}

TEST(SafetensorsWeightsTest, StrictNamesEveryTensorAtFaultAndChangesNothing) {
  const Model source(14, /*classes=*/100);
  Model target(15);
  auto tensors = source.collect();
  std::erase_if(tensors, [](const auto& t) { return t.name == "bn1.running_var"; });
  tensors.push_back({"head.scale", torch::ones({1})});
  const auto before = target.params.weights.clone();
  const auto message = error_of(
      [&] { load_weights(target.params, file_of(tensors), "model.safetensors", LoadMode::kStrict); });
  for (const char* part : {"model.safetensors", "fc.weight", "fc.bias", "bn1.running_var", "head.scale"}) {
    EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
  }
  EXPECT_TRUE(target.params.weights.equal(before));
}

TEST(SafetensorsWeightsTest, FilesWithNothingForTheModelAreRefused) {
  Model target(16);
  const std::vector<NamedTensor> tensors = {{"encoder.weight", torch::ones({2, 2})}};
  for (const auto mode : {LoadMode::kInitFrom, LoadMode::kStrict}) {
    EXPECT_NE(error_of([&] {
                load_weights(target.params, file_of(tensors), "other.safetensors", mode);
              }).find("encoder.weight"),
              std::string::npos);
  }
}

TEST(SafetensorsWeightsTest, IntegerWeightsAreRefused) {
  const Model source(17);
  Model target(18);
  auto tensors = source.collect();
  tensors[0].value = tensors[0].value.to(torch::kInt64);
  const auto before = target.params.weights.clone();
  const auto message =
      error_of([&] { load_weights(target.params, file_of(tensors), "memory", LoadMode::kInitFrom); });
  EXPECT_NE(message.find("conv1.weight has the type i64"), std::string::npos) << message;
  EXPECT_TRUE(target.params.weights.equal(before));
}

}  // namespace
}  // namespace rn::model
