// SGD against torch.optim.SGD over 50 steps: tools/golden/make_optimizer_golden.py.
#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "dist/single_communicator.h"
#include "kernels/cpu_features.h"
#include "model/linear.h"
#include "small_parameters.h"

namespace rn::train {
namespace {

using testing::GoldenFile;
using testing::same_bits;
using testing::SmallParameters;

constexpr std::int64_t kSteps = 50;

nlohmann::json cases() {
  std::ifstream file(RN_TEST_DATA_DIR "/train/loss_scale.json");
  return nlohmann::json::parse(file).at("cases");
}

OptimizerOptions options_from(const nlohmann::json& json) {
  OptimizerOptions options;
  options.momentum = json.at("momentum");
  options.nesterov = json.at("nesterov");
  options.weight_decay = json.at("weight_decay");
  options.decay_norm_and_bias = json.at("decay_norm_and_bias");
  return options;
}

void expect_padding_is_zero(const FlatLayout& layout, const torch::Tensor& storage) {
  auto rest = storage.clone();
  for (const FlatEntry& entry : layout.entries()) rest.narrow(0, entry.offset, entry.numel).zero_();
  EXPECT_TRUE(rest.equal(torch::zeros_like(rest)));
}

void expect_pytorchs_trajectory(torch::ScalarType dtype, std::int64_t bucket_cap, double tolerance) {
  const GoldenFile golden("optimizer");
  const auto all = cases();
  ASSERT_GE(all.size(), 5U);
  for (const auto& [name, json] : all.items()) {
    SmallParameters small(golden, dtype, bucket_cap);
    auto& params = small.params;
    Sgd sgd(options_from(json), params);
    for (std::int64_t step = 0; step < kSteps; ++step) {
      small.set_gradients(golden, step);
      sgd.step(0.1 / (1.0 + static_cast<double>(step) / 10.0), torch::zeros({1}));
    }
    for (const FlatEntry& entry : params.layout().entries()) {
      EXPECT_LT(testing::relative_error(params.view(params.weights, entry),
                                        golden[name + "/weights/" + entry.spec.name]),
                tolerance)
          << name << ", " << entry.spec.name;
      if (!golden.has(name + "/momentum/" + entry.spec.name)) continue;
      EXPECT_LT(testing::relative_error(params.view(sgd.momentum, entry),
                                        golden[name + "/momentum/" + entry.spec.name]),
                tolerance)
          << name << ", momentum of " << entry.spec.name;
    }
    expect_padding_is_zero(params.layout(), params.weights);
    expect_padding_is_zero(params.layout(), sgd.momentum);
  }
}

TEST(OptimizerTest, EqualsPyTorchsSgdOver50Steps) {
  expect_pytorchs_trajectory(torch::kFloat32, 1 << 20, 1e-6);
  expect_pytorchs_trajectory(torch::kFloat64, 1 << 20, 1e-12);
}

TEST(OptimizerTest, TheCutIntoBucketsChangesNothing) {
  expect_pytorchs_trajectory(torch::kFloat64, 16, 1e-12);  // every parameter a bucket of its own
}

TEST(OptimizerTest, FoundInfLeavesEveryBitAsItIs) {
  const GoldenFile golden("optimizer");
  for (const bool decay_norm_and_bias : {true, false}) {
    SmallParameters small(golden, torch::kFloat32, 64);
    OptimizerOptions options;
    options.decay_norm_and_bias = decay_norm_and_bias;
    Sgd sgd(options, small.params);
    small.set_gradients(golden, 0);
    sgd.step(0.1, torch::zeros({1}));
    const auto weights = small.params.weights.clone(), momentum = sgd.momentum.clone();
    small.params.gradient.fill_(std::numeric_limits<float>::infinity());
    sgd.step(0.1, torch::ones({1}));
    EXPECT_TRUE(same_bits(small.params.weights, weights));
    EXPECT_TRUE(same_bits(sgd.momentum, momentum));
    small.set_gradients(golden, 1);
    sgd.step(0.1, torch::zeros({1}));
    EXPECT_FALSE(same_bits(small.params.weights, weights)) << "the next finite step is taken";
  }
}

// A layer that may take its step in the backward pass, behind one that may not.
struct TwoLayers : torch::nn::Module {
  TwoLayers()
      : norm(register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({40})))),
        large(register_module(
            "large", model::Linear(model::ModelOptions(), 40, 24, model::LinearImpl::Activation::kRelu))),
        small(register_module("small", model::Linear(model::ModelOptions(), 24, 3))) {}
  torch::Tensor forward(const torch::Tensor& x) { return small->forward(large->forward(norm->forward(x))); }

  torch::nn::LayerNorm norm;
  model::Linear large, small;
};

// The weights after some steps with batches of these sizes; `counts`: of the weights that stepped themselves.
torch::Tensor weights_after(const std::vector<std::int64_t>& batches, bool in_backward, double weight_decay,
                            std::vector<std::size_t>& counts) {
  torch::manual_seed(11);
  TwoLayers net;
  dist::SingleCommunicator communicator;
  model::FlatParameters params(net, communicator, std::int64_t{1} << 40);
  OptimizerOptions options;
  options.momentum = 0;
  options.nesterov = false;
  options.weight_decay = weight_decay;
  options.norm_bias_lr = 2;
  Sgd sgd(options, params);
  for (const std::int64_t batch : batches) {
    const auto x = torch::randn({batch, 40});
    params.begin_gradient(in_backward ? sgd.plain_step(0.2) : std::nullopt);
    net.forward(x).square().mean().backward();
    params.settle_gradient();
    counts.push_back(params.stepped().size());
    sgd.step(0.2, torch::zeros({1}));
  }
  expect_padding_is_zero(params.layout(), params.weights);
  return params.weights.clone();
}

// The larger batch is beyond the layers' own kernels, and comes between two that are not.
TEST(OptimizerTest, AStepInTheBackwardPassIsTheSameStep) {
  const std::vector<std::int64_t> batches = {5, 5, 64, 7};
  for (const double weight_decay : {0.0, 0.01}) {
    std::vector<std::size_t> counts, none;
    const auto found = weights_after(batches, /*in_backward=*/true, weight_decay, counts);
    const auto expected = weights_after(batches, /*in_backward=*/false, weight_decay, none);
    EXPECT_EQ(none, std::vector<std::size_t>(4, 0));
    const std::size_t own = kernels::avx512_available() ? 2 : 0;
    EXPECT_EQ(counts, (std::vector<std::size_t>{own, own, 0, own}));
    // Whether a product is rounded before it is added is the operator's choice, and so a last bit.
    EXPECT_LT(testing::relative_error(found, expected), 1e-7) << weight_decay;
  }
}

TEST(OptimizerTest, NoStepInTheBackwardPassWithMomentum) {
  TwoLayers net;
  dist::SingleCommunicator communicator;
  model::FlatParameters params(net, communicator, std::int64_t{1} << 40);
  EXPECT_FALSE(Sgd(OptimizerOptions(), params).plain_step(0.1).has_value());
}

}  // namespace
}  // namespace rn::train
