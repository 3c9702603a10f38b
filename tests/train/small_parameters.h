// Five small parameters in flat storages, as tools/golden/make_optimizer_golden.py has them.
#pragma once

#include "dist/single_communicator.h"
#include "train_testing.h"

namespace rn::train::testing {

// The modules "conv", "norm" and "fc" hold nothing but parameters.
class SmallNet : public torch::nn::Module {
 public:
  explicit SmallNet(torch::ScalarType dtype) {
    const auto add = [&](const std::string& module,
                         const std::vector<std::pair<std::string, std::vector<std::int64_t>>>& parameters) {
      auto part = std::make_shared<torch::nn::Module>();
      for (const auto& [name, shape] : parameters) part->register_parameter(name, torch::zeros(shape, dtype));
      register_module(module, part);
    };
    add("conv", {{"weight", {4, 3, 3, 3}}, {"bias", {4}}});
    add("norm", {{"weight", {4}}});
    add("fc", {{"weight", {5, 4}}, {"bias", {5}}});
  }
};

struct SmallParameters {
  SmallParameters(const GoldenFile& golden, torch::ScalarType dtype, std::int64_t bucket_cap)
      : net(dtype), params(net, communicator, bucket_cap) {
    const torch::NoGradGuard no_grad;
    for (const FlatEntry& entry : params.layout().entries()) {
      params.view(params.weights, entry).copy_(golden["start/" + entry.spec.name]);
    }
  }

  void set_gradients(const GoldenFile& golden, std::int64_t step) {
    const torch::NoGradGuard no_grad;
    params.gradient.zero_();
    for (const FlatEntry& entry : params.layout().entries()) {
      params.view(params.gradient, entry).copy_(golden["gradients/" + entry.spec.name][step]);
    }
  }

  dist::SingleCommunicator communicator;
  SmallNet net;
  model::FlatParameters params;
};

}  // namespace rn::train::testing
