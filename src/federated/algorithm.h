// The server algorithms as what they do at three places of a round: before a client's local steps, after
// them, and with the sums over the cohort. Formulas with their papers: docs/federated.md and below.
//
// x: the server's weights; y_i: client i's after its local steps; d_i = y_i - x: its update; p_i: its weight
// in the mean, by samples or uniform, summing to 1 over the cohort S; N: registered clients; eta_l, eta: the
// client's and the server's learning rate.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "federated/local_trainer.h"
#include "federated/options.h"
#include "model/flat_parameters.h"
#include "train/train_state.h"

namespace rn::federated {

// What a client adds to the sums of its round.
struct Contribution {
  double factor = 1;      // on its update in the weighted mean
  double scalar = 0;      // averaged with the same weights
  torch::Tensor variate;  // averaged uniformly over the cohort; undefined: none
};

// The sums of a round, the same bits on every rank.
struct RoundMeans {
  std::int64_t round = 0;    // from 0
  std::int64_t clients = 0;  // whose updates count; above 0
  torch::Tensor update;   // sum of p_i * factor_i * d_i, a storage of the model's dtype; may be overwritten
  torch::Tensor variate;  // mean of the variates; undefined: none
  double scalar = 0;      // sum of p_i * scalar_i
};

class Algorithm {
 public:
  virtual ~Algorithm() = default;

  // Elements that a client keeps between rounds; zeros before its first.
  virtual std::int64_t client_state_size() const { return 0; }
  virtual bool sums_variates() const { return false; }

  // Before the local steps, with params.weights at x. `state`: the client's; a copy on the model's device.
  // The result may refer to memory that is valid until the next call.
  virtual GradientCorrection before(const torch::Tensor& x, const LocalTask& task, torch::Tensor& state) = 0;
  // After them: changes `state` to what the client keeps if its update counts.
  virtual Contribution after(const torch::Tensor& update, const LocalTask& task, const LocalResult& result,
                             torch::Tensor& state) = 0;
  // Changes the server's weights.
  virtual void apply(torch::Tensor& x, RoundMeans& means) = 0;

  // The server's own state.
  virtual void walk(train::StateVisitor& visitor) = 0;
};

// By federated.algorithm. `trainer` computes whole gradients for SCAFFOLD's option I. Borrows all.
std::unique_ptr<Algorithm> make_algorithm(const FederatedOptions& options,
                                          const train::OptimizerOptions& local,
                                          const model::FlatParameters& params, LocalTrainer& trainer);

// FedNova's ||a_i||_1: how far `steps` local steps of rate lr move along a constant unit gradient, in units
// of lr. Plain SGD: steps; momentum rho: sum over t of (1 - rho^t) / (1 - rho); proximal: (1 - (1 - lr
// mu)^steps) / (lr mu); any of them together by the recursion itself. REQUIRES: steps >= 1.
double nova_norm(std::int64_t steps, double lr, double momentum, bool nesterov, double mu);

}  // namespace rn::federated
