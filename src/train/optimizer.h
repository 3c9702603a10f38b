// Stochastic gradient descent over the flat tensors: one fused list call per hyper-parameter group.
//
// The update is torch.optim.SGD's (momentum without dampening, Nesterov, decoupled nothing: weight decay is
// added to the gradient). Padding stays zero because its gradient, momentum and weight are zero.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <utility>
#include <vector>

#include "model/flat_parameters.h"
#include "train/options.h"

namespace rn::train {

// A learning rate: a number, or a float32 scalar in the device's memory, where a graph reads it at each
// launch.
struct Rate {
  Rate(double number) : value(number) {}                        // NOLINT: a number is a rate
  Rate(torch::Tensor scalar) : on_device(std::move(scalar)) {}  // NOLINT
  double value = 0;
  torch::Tensor on_device;  // undefined: `value` counts
};

class Sgd {
 public:
  // Borrows `params`. The views that the fused call works on are made once.
  Sgd(const OptimizerOptions& options, model::FlatParameters& params);

  // weights := weights - lr * (...). Leaves everything as it is where `found_inf` (a float32 scalar on the
  // device) is not 0: a step whose gradient is not finite is skipped on the device, without the host knowing.
  // Weights that made their step in the backward pass are left out.
  void step(const Rate& lr, const torch::Tensor& found_inf);

  // What step() does to the weights that decay, where it needs nothing but their gradient: for
  // FlatParameters::begin_gradient.
  std::optional<model::PlainStep> plain_step(double lr) const;

  torch::Tensor momentum;  // [layout.size()], float32; part of the TrainState

 private:
  struct Group {
    double lr_scale;  // of the schedule's rate
    double weight_decay;
    std::vector<torch::Tensor> weights, gradients, momenta;  // slices of the flat tensors
  };
  void make_groups();

  const OptimizerOptions options_;
  model::FlatParameters& params_;
  std::vector<std::size_t> left_out_;  // entries that no group has
  std::vector<Group> groups_;
};

}  // namespace rn::train
