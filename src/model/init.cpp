#include "model/init.h"

#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/random.h"
#include "model/parallel.h"

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

// Into values between -bound and bound, uniformly; a convolution's weight becomes channels-last.
void draw_uniform(const torch::Tensor& parameter, double bound, CounterRandom random) {
  const auto values = fill(parameter, [&] { return bound * (2.0 * random.uniform() - 1.0); });
  parameter.set_data(parameter.dim() == 4
                         ? values.to(parameter.options()).contiguous(at::MemoryFormat::ChannelsLast)
                         : values.to(parameter.options()));
}

void draw_he_normal(const torch::Tensor& weight, CounterRandom random) {  // [O, I, kH, kW]
  const double fan_out = static_cast<double>(weight.size(0) * weight.size(2) * weight.size(3));
  const double deviation = std::sqrt(2.0 / fan_out);  // gain of relu
  const auto values = fill(weight, [&] { return deviation * random.normal(); });
  weight.set_data(values.to(weight.options()).contiguous(at::MemoryFormat::ChannelsLast));
}

// What a convolution or a linear layer draws: weight [O, I, ...], bias [O] or undefined.
struct Layer {
  torch::Tensor weight, bias;
};

std::optional<Layer> layer_of(const std::shared_ptr<torch::nn::Module>& module) {
  if (auto* convolution = module->as<torch::nn::Conv2dImpl>())
    return Layer{convolution->weight, convolution->bias};
  if (auto* linear = module->as<torch::nn::LinearImpl>()) return Layer{linear->weight, linear->bias};
  return std::nullopt;
}

// On LibTorch's threads, each taking the next one: the last layers of a network draw more than all before.
void run_in_parallel(const std::vector<std::function<void()>>& tasks) {
  std::atomic<std::size_t> next = 0;
  at::parallel_for(0, at::get_num_threads(), 1, [&](std::int64_t, std::int64_t) {
    const torch::NoGradGuard no_grad;
    for (std::size_t i = next++; i < tasks.size(); i = next++) tasks[i]();
  });
}

}  // namespace

void initialize(Network& net, std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  std::unordered_map<const c10::TensorImpl*, std::uint64_t> index;
  for (const auto& parameter : net.parameters()) index.emplace(parameter.unsafeGetTensorImpl(), index.size());
  const auto random_of = [&](const torch::Tensor& parameter) {
    return CounterRandom(seed, Purpose::kInit, index.at(parameter.unsafeGetTensorImpl()), 0);
  };
  std::vector<std::function<void()>> draws;  // each of a stream of its own, into a parameter of its own
  for (const auto& module : net.modules(/*include_self=*/false)) {
    const auto layer = layer_of(module);
    if (!layer) continue;
    const auto& [weight, bias] = *layer;
    const double fan_in = static_cast<double>(weight.numel() / weight.size(0));
    const double fan_out = static_cast<double>(weight.numel() / weight.size(1));
    double bound = 1.0 / std::sqrt(fan_in);
    if (net.initialization() == Initialization::kGlorot) bound = std::sqrt(6.0 / (fan_in + fan_out));
    if (net.initialization() == Initialization::kResNet && weight.dim() == 4) {
      draws.push_back([=, random = random_of(weight)] { draw_he_normal(weight, random); });
    } else {
      draws.push_back([=, random = random_of(weight)] { draw_uniform(weight, bound, random); });
    }
    if (bias.defined()) {
      draws.push_back([=, random = random_of(bias)] { draw_uniform(bias, 1.0 / std::sqrt(fan_in), random); });
    }
  }
  run_in_parallel(draws);
}

}  // namespace rn::model
