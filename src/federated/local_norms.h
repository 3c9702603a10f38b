// What stays with a client of its norm layers: running statistics (federated.norm_state: local), and with
// federated.local_norms their weights and biases too (FedBN, Li et al. 2021).
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "core/flat_layout.h"
#include "federated/options.h"
#include "model/flat_parameters.h"

namespace rn::federated {

class LocalNorms {
 public:
  // Borrows params.
  LocalNorms(const FederatedOptions& options, torch::nn::Module& net, model::FlatParameters& params);

  std::int64_t state_size() const { return state_size_; }  // elements a client keeps; 0: nothing stays local
  bool keeps_statistics() const { return keeps_statistics_; }

  void load(const torch::Tensor& state) const;  // a client's own into the model
  void save(torch::Tensor state) const;         // and back
  // The model's local weights become those of `start`, so that what was trained says nothing of them.
  void forget(const torch::Tensor& start) const;

 private:
  model::FlatParameters& params_;
  bool keeps_statistics_ = false;
  std::vector<Slice> slices_;  // of the layout: norm weights and biases that stay local
  std::int64_t state_size_ = 0;
};

}  // namespace rn::federated
