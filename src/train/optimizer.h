// Stochastic gradient descent over the flat tensors: one fused list call per hyper-parameter group.
//
// The update is torch.optim.SGD's (momentum without dampening, Nesterov, decoupled nothing: weight decay is
// added to the gradient). Padding stays zero because its gradient, momentum and weight are zero.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <vector>

#include "model/flat_parameters.h"
#include "train/options.h"

namespace rn::train {

class Sgd {
 public:
  // Borrows `params`. The views that the fused call works on are made once.
  Sgd(const OptimizerOptions& options, model::FlatParameters& params);

  // weights := weights - lr * (...). Leaves everything as it is where `found_inf` (a float32 scalar on the
  // device) is not 0: a step whose gradient is not finite is skipped on the device, without the host knowing.
  void step(double lr, const torch::Tensor& found_inf);

  torch::Tensor momentum;  // [layout.size()], float32; part of the TrainState

 private:
  struct Group {
    double lr_scale;  // of the schedule's rate
    double weight_decay;
    std::vector<torch::Tensor> weights, gradients, momenta;  // slices of the flat tensors
  };
  const OptimizerOptions options_;
  std::vector<Group> groups_;
};

}  // namespace rn::train
