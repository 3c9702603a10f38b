// Networks against what PyTorch computed from the same weights and images: tools/golden/make_model_golden.py.
#include <gtest/gtest.h>

#include "dist/single_communicator.h"
#include "model/factory.h"
#include "model/flat_parameters.h"
#include "model/norm.h"
#include "model/safetensors_weights.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using testing::GoldenFile;
using testing::relative_error;
using testing::tensor_of;

constexpr double kLearningRate = 0.05;

struct Case {
  std::string file;
  ModelOptions options;
  std::string first_weight;
};

ModelOptions options_of(const std::string& name, const std::string& stem, Norm norm, int width) {
  ModelOptions options;
  options.name = name;
  options.stem = stem;
  options.norm = norm;
  options.group_norm_groups = 2;
  options.width = width;
  return options;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Norm norm : {Norm::kBatch, Norm::kSyncBatch}) {  // on one rank they are the same
    all.push_back({"resnet18_cifar", options_of("resnet18", "cifar", norm, 3), "conv1.weight"});
    all.push_back({"resnet18_imagenet", options_of("resnet18", "imagenet", norm, 2), "conv1.weight"});
    all.push_back({"resnet9", options_of("resnet9", "cifar", norm, 2), "prep.conv.weight"});
  }
  all.push_back({"resnet18_group", options_of("resnet18", "cifar", Norm::kGroup, 2), "conv1.weight"});
  return all;
}

// Relative norms allowed. Float32 gradients pass some twenty batch norms over few values: PyTorch's own,
// channels-last, are up to 9e-6 away from float64 here.
struct Tolerance {
  torch::ScalarType dtype;
  double forward, gradient, after_training;
};
constexpr Tolerance kFloat64{torch::kFloat64, 1e-10, 1e-10, 1e-10};
constexpr Tolerance kFloat32{torch::kFloat32, 1e-5, 3e-5, 1e-4};

class ResNetGoldenTest : public ::testing::TestWithParam<Case> {
 protected:
  void compare(const Tolerance& tolerance) {
    const GoldenFile golden(GetParam().file);
    auto net = make_network(GetParam().options, 10, /*seed=*/1, &single_);
    net->to(tolerance.dtype);
    FlatParameters params(*net, single_, 1 << 12);  // several buckets
    const auto report = load_weights(params, golden.section("weights"), "golden", LoadMode::kStrict);
    ASSERT_TRUE(report.complete());
    const auto images = golden["pixels"].to(tolerance.dtype) / 128 - 1;
    const auto labels = golden["labels"];
    const torch::nn::functional::CrossEntropyFuncOptions loss_options =
        torch::nn::functional::CrossEntropyFuncOptions().label_smoothing(0.1);

    for (std::int64_t step = 0; step < images.size(0); ++step) {
      params.gradient.zero_();
      const auto logits = net->forward(images[step]);
      const auto loss = torch::nn::functional::cross_entropy(logits, labels[step], loss_options);
      loss.backward();
      EXPECT_LT(relative_error(loss, golden["losses"][step]),
                step == 0 ? tolerance.forward : tolerance.after_training)
          << "step " << step;
      if (step == 0) {
        EXPECT_LT(relative_error(logits, golden["logits"]), tolerance.forward);
        compare_gradients(golden, params, tolerance.gradient);
      }
      const torch::NoGradGuard no_grad;
      params.weights.sub_(params.gradient, kLearningRate);
      params.statistics.lerp_(params.batch_statistics, kNormMomentum);
    }
    for (const auto& entry : params.statistic_entries()) {
      EXPECT_LT(relative_error(params.view(params.statistics, entry), golden["statistics/" + entry.name]),
                tolerance.after_training)
          << entry.name;
    }
    for (const std::string& name : {GetParam().first_weight, std::string("fc.weight")}) {
      EXPECT_LT(
          relative_error(params.view(params.weights, params.layout().entry(name)), golden["final/" + name]),
          tolerance.after_training)
          << name;
    }
    net->eval();
    const torch::NoGradGuard no_grad;
    EXPECT_LT(relative_error(net->forward(images[0]), golden["eval_logits"]), tolerance.after_training);
  }

 private:
  static void compare_gradients(const GoldenFile& golden, const FlatParameters& params, double tolerance) {
    const auto expected = golden.section("gradient");
    ASSERT_EQ(expected.tensors.size(), params.layout().entries().size());
    for (const auto& tensor : expected.tensors) {
      const auto actual = params.view(params.gradient, params.layout().entry(tensor.name));
      EXPECT_LT(relative_error(actual, tensor_of(tensor)), tolerance) << tensor.name;
    }
  }

  dist::SingleCommunicator single_;
};

TEST_P(ResNetGoldenTest, EqualsPyTorchInFloat64) { compare(kFloat64); }
TEST_P(ResNetGoldenTest, EqualsPyTorchInFloat32) { compare(kFloat32); }

INSTANTIATE_TEST_SUITE_P(Golden, ResNetGoldenTest, ::testing::ValuesIn(cases()), [](const auto& test) {
  return test.param.file + (test.param.options.norm == Norm::kSyncBatch ? "_sync" : "");
});

}  // namespace
}  // namespace rn::model
