// In what numbers a run computes: float32, bf16 autocast, or fp16 autocast with dynamic loss scaling.
//
// Weights, gradients and optimizer state are float32 in all of them.
#pragma once

#include <torch/torch.h>

#include <string_view>

#include "train/options.h"

namespace rn::train {

enum class Precision { kFP32, kBF16, kFP16 };
std::string_view name_of(Precision precision);

// auto: bf16 where the device computes in it (AVX-512-bf16 or AMX, compute capability 8.0), fp16 on older
// GPUs, else float32.
Precision resolve_precision(PrecisionChoice choice, torch::Device device);

// Autocast of `device` during the scope; nothing for float32. Clears the cache of casted weights at the end:
// it is keyed by tensor identity and never sees in-place updates.
class AutocastScope {
 public:
  AutocastScope(Precision precision, torch::Device device);
  ~AutocastScope();
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  const torch::DeviceType device_;
  const bool was_enabled_;
  const bool active_;
};

// Dynamic loss scaling (Micikevicius et al. 2018; growth and backoff as torch.amp.GradScaler). The decision
// is taken from the summed gradient, so it is the same on every rank, and stays on the device. Without fp16
// the scale is 1 and only the check remains.
class LossScaler {
 public:
  LossScaler(Precision precision, torch::Device device);

  bool enabled() const { return enabled_; }
  // The loss to run backward on.
  torch::Tensor scale_loss(const torch::Tensor& loss) const { return enabled_ ? loss * scale : loss; }
  // Divides `gradient` by the scale and returns found_inf: 1 where an element is not finite, else 0 (float32
  // scalar). `norm` is the norm of the unscaled gradient: a float32 scalar on the device.
  struct Unscaled {
    torch::Tensor found_inf;
    torch::Tensor norm;
  };
  Unscaled unscale(torch::Tensor& gradient);
  void update(const torch::Tensor& found_inf);  // grows or backs off

  torch::Tensor scale;           // float32 scalar; part of the TrainState
  torch::Tensor growth_tracker;  // int32 scalar; part of the TrainState

 private:
  const bool enabled_;
};

}  // namespace rn::train
