// Normalisation layers that fit sharded steps: batch, synchronised batch, and group norm under one module.
//
// Note [Running statistics]. A global batch is several shards. While training, a norm layer does not touch its running
// statistics: it writes the shard's mean and unbiased variance into `batch_mean` and `batch_var` (views of one flat
// tensor). The step sums them over shards and ranks weighted by sample counts and applies
//     running := (1 - momentum) * running + momentum * sum / count
// once, so replicas hold equal statistics at all times, and one shard on one rank gives PyTorch's numbers.
#pragma once

#include <torch/torch.h>

#include "core/communicator.h"
#include "model/options.h"

namespace rn::model {

inline constexpr double kNormMomentum = 0.1;
inline constexpr double kNormEpsilon = 1e-5;

class NormImpl : public torch::nn::Module {
 public:
  // `communicator` is used by sync_batch only (may be null otherwise) and is borrowed.
  NormImpl(const ModelOptions& options, std::int64_t channels, Communicator* communicator);
  torch::Tensor forward(const torch::Tensor& input);     // [N, C, H, W] -> the same

  torch::Tensor weight, bias;                  // [C], parameters
  torch::Tensor running_mean, running_var;     // [C], buffers; undefined for group norm
  torch::Tensor batch_mean, batch_var;         // [C], of the last training forward: see Note [Running statistics]

 private:
  const Norm kind_;
  const std::int64_t groups_;
  Communicator* const communicator_;
};
TORCH_MODULE(Norm_);   // the holder; `Norm` is the options' enum

// Batch norm over the joined batch of all ranks, differentiable twice never, once exactly: the gradients of input,
// weight and bias equal those of BatchNorm2d on the concatenation. Collective: every rank calls it, with N >= 0.
// Returns {output, mean, unbiased variance}; mean and variance are of the joined batch.
std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> sync_batch_norm(const torch::Tensor& input,
                                                                       const torch::Tensor& weight,
                                                                       const torch::Tensor& bias, double epsilon,
                                                                       Communicator& communicator);

}  // namespace rn::model
