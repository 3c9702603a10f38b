// What a client's row of numbers (client_states.h) consists of: the algorithm's part, error feedback, local
// norms.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "federated/local_norms.h"

namespace rn::federated {

struct ClientRow {
  std::int64_t algorithm_size = 0;
  std::int64_t residual_size = 0;
  LocalNorms norms;

  std::int64_t size() const { return algorithm_size + residual_size + norms.state_size(); }

  // Views of a row; empty tensors of one that is undefined.
  torch::Tensor algorithm_of(const torch::Tensor& row) const { return part(row, 0, algorithm_size); }
  torch::Tensor norms_of(const torch::Tensor& row) const {
    return part(row, algorithm_size + residual_size, norms.state_size());
  }
  // Undefined where there is no error feedback.
  torch::Tensor residual_of(const torch::Tensor& row) const {
    return residual_size > 0 ? part(row, algorithm_size, residual_size) : torch::Tensor();
  }

 private:
  static torch::Tensor part(const torch::Tensor& row, std::int64_t begin, std::int64_t size) {
    return row.defined() ? row.narrow(0, begin, size) : torch::empty({0});
  }
};

}  // namespace rn::federated
