#include "train/optimizer.h"

#include <ATen/ops/_fused_sgd.h>

namespace rn::train {

Sgd::Sgd(const OptimizerOptions& options, model::FlatParameters& params)
    : momentum(params.make_storage()), options_(options) {
  const auto add_group = [&](double weight_decay, const std::vector<Slice>& slices) {
    Group group{weight_decay, {}, {}, {}};
    for (const Slice& slice : slices) {
      group.weights.push_back(params.weights.narrow(0, slice.offset, slice.size));
      group.gradients.push_back(params.gradient.narrow(0, slice.offset, slice.size));
      // The fused operator refuses momenta that it would not use.
      if (options.momentum != 0) group.momenta.push_back(momentum.narrow(0, slice.offset, slice.size));
    }
    groups_.push_back(std::move(group));
  };
  if (options.decay_norm_and_bias) {
    add_group(options.weight_decay, {{0, params.layout().size()}});
  } else {
    add_group(options.weight_decay, params.layout().group_slices(model::kDecayGroup));
    add_group(0.0, params.layout().group_slices(model::kNormBiasGroup));
  }
}

void Sgd::step(double lr, const torch::Tensor& found_inf) {
  const torch::NoGradGuard no_grad;
  for (Group& group : groups_) {
    if (group.weights.empty()) continue;
    // Momentum starts at zero, so the first step needs no special case: 0 * momentum + gradient is the
    // gradient.
    at::_fused_sgd_(group.weights, group.gradients, group.momenta, group.weight_decay, options_.momentum, lr,
                    /*dampening=*/0.0, options_.nesterov, /*maximize=*/false, /*is_first_step=*/false,
                    /*grad_scale=*/{}, found_inf);
  }
}

}  // namespace rn::train
