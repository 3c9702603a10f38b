#include "model/sync_batch_norm.h"

#include <ATen/ops/batch_norm_update_stats.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>

#include <cstdint>

#include "core/error.h"
#include "model/device_stream.h"

namespace rn::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::span<std::byte> bytes_of_tensor(const torch::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), static_cast<std::size_t>(tensor.nbytes())};
}

// The communicator that reaches the memory of tensors on `device`, and where they must lie for it.
struct Route {
  Communicator& communicator;
  torch::Device device;
};
Route route_for(torch::Device device, Communicator& communicator) {
  if (communicator.on_device() == device.is_cuda()) return {communicator, device};
  return {communicator.host(), torch::Device(torch::kCPU)};
}

// Note [Order of SyncBN's collectives]. On a GPU the host does not wait: what is queued on the current stream
// later sees the result, and since the caching allocator reuses memory in the order of that stream, tensors
// may be freed before the collective has run.

// mine [n] float64 of every rank -> [R, n], on mine's device.
torch::Tensor gather(const torch::Tensor& mine, Communicator& communicator) {
  const Route route = route_for(mine.device(), communicator);
  const auto local = mine.to(route.device).contiguous();
  auto all = torch::empty({route.communicator.world_size(), local.numel()}, local.options());
  route.communicator.all_gather(bytes_of_tensor(local), bytes_of_tensor(all))
      .order_after(current_stream(route.device));
  return all.to(mine.device());
}

// The sum of mine [n] float64 over the ranks, on mine's device.
torch::Tensor sum(const torch::Tensor& mine, Communicator& communicator) {
  const Route route = route_for(mine.device(), communicator);
  auto total = mine.to(route.device).clone();
  route.communicator.all_reduce(bytes_of_tensor(total), DType::kF64)
      .order_after(current_stream(route.device));
  return total.to(mine.device());
}

torch::ScalarType statistics_type(const torch::Tensor& input) {
  return input.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
}

struct Moments {
  torch::Tensor count;     // [1] float64: values per channel
  torch::Tensor mean;      // [C] float64
  torch::Tensor variance;  // [C] float64, biased
};

// Of this rank's input. The operator takes two passes over the values (mean, then squared differences from
// it).
Moments local_moments(const torch::Tensor& input) {
  const auto wide = input.options().dtype(torch::kFloat64).memory_format(c10::nullopt);
  const std::int64_t channels = input.size(1);
  const auto count = static_cast<double>(input.numel()) / static_cast<double>(channels);
  if (input.numel() == 0) {
    return {torch::zeros({1}, wide), torch::zeros({channels}, wide), torch::zeros({channels}, wide)};
  }
  // Running statistics that nobody reads: their dtype makes the operator compute in float32 for a bf16 input.
  const auto scratch = torch::zeros({2, channels}, wide.dtype(statistics_type(input)));
  const auto [mean, variance] = at::batch_norm_update_stats(input, scratch[0], scratch[1], /*momentum=*/1.0);
  return {torch::full({1}, count, wide), mean.to(torch::kFloat64), variance.to(torch::kFloat64)};
}

// Chan et al. 1983: the variance of the union is the mean of variance + squared distance of the means, by
// counts. All terms are positive, so nothing cancels. Every rank sums the same numbers in the same order.
Moments join(const Moments& local, Communicator& communicator) {
  const std::int64_t channels = local.mean.numel();
  const auto all =
      gather(torch::cat({local.count, local.mean, local.variance}), communicator);  // [R, 1 + 2C]
  const auto counts = all.narrow(1, 0, 1);                                          // [R, 1]
  const auto means = all.narrow(1, 1, channels);
  const auto variances = all.narrow(1, 1 + channels, channels);
  const auto count = counts.sum(0);
  const auto divisor = count.clamp_min(1.0);  // no samples anywhere: zeros
  const auto mean = (means * counts).sum(0) / divisor;
  const auto variance = ((variances + (means - mean).square()) * counts).sum(0) / divisor;
  return {count, mean, variance};
}

// [C] -> broadcastable with [N, C, H, W].
torch::Tensor per_channel(const torch::Tensor& values) { return values.view({1, -1, 1, 1}); }

class SyncBatchNorm : public torch::autograd::Function<SyncBatchNorm> {
 public:
  static variable_list forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& weight, const torch::Tensor& bias, double epsilon,
                               Communicator* communicator) {
    const Moments joined = join(local_moments(input), *communicator);
    const auto mean = joined.mean.to(statistics_type(input));
    const auto variance = joined.variance.to(statistics_type(input));
    const auto unbiased = (joined.variance * (joined.count / (joined.count - 1.0).clamp_min(1.0))).to(mean);
    auto output = input.numel() == 0
                      ? torch::empty_like(input)
                      : std::get<0>(at::native_batch_norm(input, weight, bias, mean, variance,
                                                          /*training=*/false, /*momentum=*/0.0, epsilon));
    context->save_for_backward({input, weight, mean, variance, joined.count});
    context->saved_data["epsilon"] = epsilon;
    context->saved_data["communicator"] =
        static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(communicator));
    context->mark_non_differentiable({mean, unbiased});
    return {output, mean, unbiased};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "sync_batch_norm is differentiable once only");
    const auto saved = context->get_saved_variables();
    const auto &input = saved[0], &weight = saved[1], &mean = saved[2], &variance = saved[3],
               &count = saved[4];
    const double epsilon = context->saved_data["epsilon"].toDouble();
    auto& communicator = *reinterpret_cast<Communicator*>(  // NOLINT: saved_data holds no pointers
        static_cast<std::intptr_t>(context->saved_data["communicator"].toInt()));
    const auto& output_gradient = gradients[0];
    const std::int64_t channels = input.size(1);

    // Local sums over N, H, W of dy * xhat and dy, which are also the local gradients of weight and bias.
    auto weight_gradient = torch::zeros_like(weight);
    auto bias_gradient = torch::zeros_like(weight);
    if (input.numel() > 0) {
      std::tie(std::ignore, weight_gradient, bias_gradient) = at::native_batch_norm_backward(
          output_gradient, input, weight, mean, variance, /*save_mean=*/{}, /*save_invstd=*/{},
          /*train=*/false, epsilon, /*output_mask=*/{false, true, true});
    }
    const auto sums = sum(torch::cat({weight_gradient, bias_gradient}).to(torch::kFloat64), communicator);
    const auto means = (sums / count.clamp_min(1.0)).to(mean.scalar_type());
    const auto mean_dy_xhat = means.narrow(0, 0, channels);
    const auto mean_dy = means.narrow(0, channels, channels);

    // dx = weight / std * (dy - mean(dy) - xhat * mean(dy * xhat)); differences first, so that nothing
    // cancels.
    const auto inverse_std = (variance + epsilon).rsqrt();
    const auto centred = input.to(mean.scalar_type()) - per_channel(mean);
    const auto from_statistics =
        torch::addcmul(per_channel(mean_dy), centred, per_channel(inverse_std * mean_dy_xhat));
    const auto input_gradient =
        ((output_gradient.to(mean.scalar_type()) - from_statistics) * per_channel(weight * inverse_std))
            .to(input.scalar_type());
    return {input_gradient, weight_gradient, bias_gradient, torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> sync_batch_norm(const torch::Tensor& input,
                                                                        const torch::Tensor& weight,
                                                                        const torch::Tensor& bias,
                                                                        double epsilon,
                                                                        Communicator& communicator) {
  RN_CHECK(input.dim() == 4 && input.size(1) == weight.numel(), "input of shape ", input.sizes(), " for ",
           weight.numel(), " channels");
  auto outputs = SyncBatchNorm::apply(input, weight, bias, epsilon, &communicator);
  return {outputs[0], outputs[1], outputs[2]};
}

}  // namespace rn::model
