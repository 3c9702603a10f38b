#include "train/optimizer.h"

#include <ATen/ops/_fused_sgd.h>

namespace rn::train {

namespace {

// What is left of the slices without some entries, whose padding goes with them.
std::vector<Slice> without(const std::vector<Slice>& slices, const FlatLayout& layout,
                           const std::vector<std::size_t>& entries) {
  std::vector<Slice> left;
  for (const Slice& slice : slices) {
    std::int64_t begin = slice.offset;
    const std::int64_t end = slice.offset + slice.size;
    const auto keep_to = [&](std::int64_t to) {
      if (begin < to) left.push_back({begin, to - begin});
    };
    for (const std::size_t entry : entries) {  // in layout order
      const FlatEntry& out = layout.entries()[entry];
      if (out.offset < begin || out.offset >= end) continue;
      keep_to(out.offset);
      begin = out.offset + (out.numel + FlatLayout::kEntryAlignment - 1) / FlatLayout::kEntryAlignment *
                               FlatLayout::kEntryAlignment;
    }
    keep_to(end);
  }
  return left;
}

}  // namespace

Sgd::Sgd(const OptimizerOptions& options, model::FlatParameters& params)
    : momentum(params.make_storage()), options_(options), params_(params) {
  make_groups();
}

void Sgd::make_groups() {
  groups_.clear();
  const auto add_group = [&](double lr_scale, double weight_decay, int of_layout) {
    Group group{lr_scale, weight_decay, {}, {}, {}};
    for (const Slice& slice :
         without(params_.layout().group_slices(of_layout), params_.layout(), left_out_)) {
      group.weights.push_back(params_.weights.narrow(0, slice.offset, slice.size));
      group.gradients.push_back(params_.gradient.narrow(0, slice.offset, slice.size));
      // The fused operator refuses momenta that it would not use.
      if (options_.momentum != 0) group.momenta.push_back(momentum.narrow(0, slice.offset, slice.size));
    }
    groups_.push_back(std::move(group));
  };
  const double small_decay = options_.decay_norm_and_bias ? options_.weight_decay : 0.0;
  add_group(1.0, options_.weight_decay, model::kDecayGroup);
  add_group(1.0, small_decay, model::kPlainGroup);
  // A faster rate does not shrink the biases faster.
  add_group(options_.norm_bias_lr, small_decay / options_.norm_bias_lr, model::kShiftGroup);
}

std::optional<model::PlainStep> Sgd::plain_step(double lr) const {
  if (options_.momentum != 0) return {};
  return model::PlainStep{lr, options_.weight_decay};
}

void Sgd::step(const Rate& lr, const torch::Tensor& found_inf) {
  const torch::NoGradGuard no_grad;
  if (auto stepped = params_.stepped(); stepped != left_out_) {
    left_out_ = std::move(stepped);
    make_groups();
  }
  for (Group& group : groups_) {
    if (group.weights.empty()) continue;
    const auto step = [&](const auto& rate) {
      // Momentum starts at zero, so the first step needs no special case: 0 * momentum + gradient is the
      // gradient.
      at::_fused_sgd_(group.weights, group.gradients, group.momenta, group.weight_decay, options_.momentum,
                      rate,
                      /*dampening=*/0.0, options_.nesterov, /*maximize=*/false, /*is_first_step=*/false,
                      /*grad_scale=*/{}, found_inf);
    };
    if (lr.on_device.defined()) {
      step(group.lr_scale == 1.0 ? lr.on_device : lr.on_device * group.lr_scale);
    } else {
      step(lr.value * group.lr_scale);
    }
  }
}

}  // namespace rn::train
