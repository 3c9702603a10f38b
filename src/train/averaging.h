// Averages of the weights beside training: exponential moving average (EMA) and stochastic weight averaging
// (SWA).
//
// Both are storages of the flat layout, so an update is one lerp. They change nothing of training itself.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "model/flat_parameters.h"
#include "train/options.h"

namespace rn::train {

// average := decay * average + (1 - decay) * weights after every `every_steps` optimizer steps; the decay is
// warmed up as min(decay, (1 + updates) / (10 + updates)) so that early averages forget the initial weights.
// Norm statistics are averaged alike.
class Ema {
 public:
  Ema(const EmaOptions& options, const model::FlatParameters& params);
  void update(std::int64_t step, const model::FlatParameters& params);  // step: optimizer steps done

  torch::Tensor weights;     // [layout.size()]; part of the TrainState, as all below
  torch::Tensor statistics;  // [statistics]
  std::int64_t updates = 0;

 private:
  const EmaOptions options_;
};

// The equal mean of snapshots along the trajectory (Izmailov et al. 2018, "Averaging weights leads to wider
// optima and better generalization"): average := (average * n + weights) / (n + 1). When a snapshot is due
// says the schedule; norm statistics are re-estimated by the trainer before the average is used.
class Swa {
 public:
  explicit Swa(const model::FlatParameters& params);
  void snapshot(const model::FlatParameters& params);

  torch::Tensor weights;     // [layout.size()]; part of the TrainState, as all below
  torch::Tensor statistics;  // [statistics], as last re-estimated
  std::int64_t snapshots = 0;
};

// Puts other weights and statistics into the model during the scope, and the model's own bits back at its
// end.
class WeightSwap {
 public:
  WeightSwap(model::FlatParameters& params, const torch::Tensor& weights, const torch::Tensor& statistics);
  ~WeightSwap();
  WeightSwap(const WeightSwap&) = delete;
  WeightSwap& operator=(const WeightSwap&) = delete;

 private:
  model::FlatParameters& params_;
  torch::Tensor own_weights_, own_statistics_;
};

}  // namespace rn::train
