// What the server does with the clients' mean update, taken as a pseudo-gradient (Reddi et al. 2020,
// "Adaptive Federated Optimization", Algorithm 2).
//
// With delta the mean update of a round and eta federated.server_lr:
//   sgd      x += eta * delta                                             FedAvg, FedSGD, FedProx
//   avgm     m = momentum * m + delta;  x += eta * m                      FedAvgM (Hsu et al. 2019)
//   adagrad  m = beta1 m + (1 - beta1) delta;  v += delta^2;  x += eta m / (sqrt(v) + tau)
//   adam     the same with v = beta2 v + (1 - beta2) delta^2
//   yogi     the same with v -= (1 - beta2) delta^2 sign(v - delta^2)
// v starts at tau^2 and there is no bias correction, as in the paper. With `bias_correction` (adam) it is
// Flower's: v starts at 0 and eta is multiplied by sqrt(1 - beta2^(t + 1)) / (1 - beta1^(t + 1)), t = 1 in
// the first round.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>

#include "federated/options.h"
#include "model/flat_parameters.h"
#include "train/train_state.h"

namespace rn::federated {

enum class ServerRule { kSgd, kAvgM, kAdagrad, kAdam, kYogi };
// The rule of federated.algorithm.
ServerRule server_rule(const std::string& algorithm);

class ServerOptimizer {
 public:
  ServerOptimizer(ServerRule rule, const FederatedOptions& options, const model::FlatParameters& params);

  // Changes `weights` by the mean update `delta` of round `round` (from 0), which it uses as scratch.
  void apply(torch::Tensor& weights, torch::Tensor& delta, std::int64_t round);

  void walk(train::StateVisitor& visitor);

 private:
  void update_second_moment(const torch::Tensor& delta);

  const ServerRule rule_;
  const FederatedOptions options_;
  torch::Tensor momentum_;       // [layout.size()]; undefined where the rule has none
  torch::Tensor second_moment_;  // likewise
};

}  // namespace rn::federated
