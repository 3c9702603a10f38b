#include "train/optimizer.h"

#include <ATen/ops/_fused_sgd.h>

namespace rn::train {

Sgd::Sgd(const OptimizerOptions& options, model::FlatParameters& params)
    : momentum(params.make_storage()), options_(options) {
  const auto add_group = [&](double lr_scale, double weight_decay, int of_layout) {
    Group group{lr_scale, weight_decay, {}, {}, {}};
    for (const Slice& slice : params.layout().group_slices(of_layout)) {
      group.weights.push_back(params.weights.narrow(0, slice.offset, slice.size));
      group.gradients.push_back(params.gradient.narrow(0, slice.offset, slice.size));
      // The fused operator refuses momenta that it would not use.
      if (options.momentum != 0) group.momenta.push_back(momentum.narrow(0, slice.offset, slice.size));
    }
    groups_.push_back(std::move(group));
  };
  const double small_decay = options.decay_norm_and_bias ? options.weight_decay : 0.0;
  add_group(1.0, options.weight_decay, model::kDecayGroup);
  add_group(1.0, small_decay, model::kPlainGroup);
  // A faster rate does not shrink the biases faster.
  add_group(options.norm_bias_lr, small_decay / options.norm_bias_lr, model::kShiftGroup);
}

void Sgd::step(double lr, const torch::Tensor& found_inf) {
  const torch::NoGradGuard no_grad;
  for (Group& group : groups_) {
    if (group.weights.empty()) continue;
    // Momentum starts at zero, so the first step needs no special case: 0 * momentum + gradient is the
    // gradient.
    at::_fused_sgd_(group.weights, group.gradients, group.momenta, group.weight_decay, options_.momentum,
                    lr * group.lr_scale,
                    /*dampening=*/0.0, options_.nesterov, /*maximize=*/false, /*is_first_step=*/false,
                    /*grad_scale=*/{}, found_inf);
  }
}

}  // namespace rn::train
