#include "train/averaging.h"

#include <algorithm>

namespace rn::train {

Ema::Ema(const EmaOptions& options, const model::FlatParameters& params)
    : weights(params.weights.clone()), statistics(params.statistics.clone()), options_(options) {}

void Ema::update(std::int64_t step, const model::FlatParameters& params) {
  if (step % options_.every_steps != 0) return;
  const torch::NoGradGuard no_grad;
  const auto n = static_cast<double>(updates);
  const double keep = std::min(options_.decay, (1.0 + n) / (10.0 + n));
  weights.lerp_(params.weights, 1.0 - keep);
  statistics.lerp_(params.statistics, 1.0 - keep);
  ++updates;
}

Swa::Swa(const model::FlatParameters& params)
    : weights(torch::zeros_like(params.weights)), statistics(params.statistics.clone()) {}

void Swa::snapshot(const model::FlatParameters& params) {
  const torch::NoGradGuard no_grad;
  weights.lerp_(params.weights, 1.0 / static_cast<double>(snapshots + 1));
  ++snapshots;
}

WeightSwap::WeightSwap(model::FlatParameters& params, const torch::Tensor& weights,
                       const torch::Tensor& statistics)
    : params_(params), own_weights_(params.weights.clone()), own_statistics_(params.statistics.clone()) {
  const torch::NoGradGuard no_grad;
  params_.weights.copy_(weights);
  params_.statistics.copy_(statistics);
}

WeightSwap::~WeightSwap() {
  const torch::NoGradGuard no_grad;
  params_.weights.copy_(own_weights_);
  params_.statistics.copy_(own_statistics_);
}

}  // namespace rn::train
