#include "model/init.h"

#include <cmath>
#include <string>
#include <unordered_map>

#include "core/random.h"

namespace rn::model {
namespace {

// A row-major float32 tensor like `like`, element i = draw().
template <typename Draw>
torch::Tensor fill(const torch::Tensor& like, Draw draw) {
  auto values = torch::empty(like.sizes(), torch::kFloat32);
  float* out = values.data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) out[i] = static_cast<float>(draw());
  return values;
}

void draw_convolution(const torch::Tensor& weight, CounterRandom random) {  // [O, I, kH, kW]
  const double fan_out = static_cast<double>(weight.size(0) * weight.size(2) * weight.size(3));
  const double deviation = std::sqrt(2.0 / fan_out);  // gain of relu
  const auto values = fill(weight, [&] { return deviation * random.normal(); });
  weight.set_data(values.to(weight.options()).contiguous(at::MemoryFormat::ChannelsLast));
}

void draw_linear(const torch::Tensor& values, std::int64_t fan_in, CounterRandom random) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  values.copy_(fill(values, [&] { return bound * (2.0 * random.uniform() - 1.0); }));
}

}  // namespace

void initialize(torch::nn::Module& net, std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  std::unordered_map<const c10::TensorImpl*, std::uint64_t> index;
  for (const auto& parameter : net.parameters()) index.emplace(parameter.unsafeGetTensorImpl(), index.size());
  const auto random_of = [&](const torch::Tensor& parameter) {
    return CounterRandom(seed, Purpose::kInit, index.at(parameter.unsafeGetTensorImpl()), 0);
  };
  for (const auto& module : net.modules(/*include_self=*/false)) {
    if (auto* convolution = module->as<torch::nn::Conv2dImpl>()) {
      draw_convolution(convolution->weight, random_of(convolution->weight));
    } else if (auto* linear = module->as<torch::nn::LinearImpl>()) {
      draw_linear(linear->weight, linear->weight.size(1), random_of(linear->weight));
      if (linear->bias.defined()) draw_linear(linear->bias, linear->weight.size(1), random_of(linear->bias));
    }
  }
}

}  // namespace rn::model
