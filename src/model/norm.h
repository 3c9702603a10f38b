// Normalisation layers that fit sharded steps: batch, synchronised batch, and group norm under one module.
//
// Note [Running statistics]. A global batch is several shards. While training, a norm layer does not touch
// its running statistics: it writes the shard's mean and unbiased variance into `batch_mean` and `batch_var`
// (views of one flat tensor, FlatParameters::batch_statistics). The step sums them over shards and ranks
// weighted by sample counts and applies
//     running := (1 - momentum) * running + momentum * sum / count
// once, so replicas hold equal statistics at all times, and one shard on one rank gives PyTorch's numbers. A
// shard with one value per channel has the variance 0, not 0 / 0. With sync_batch the statistics are those of
// the joined batch.
#pragma once

#include <torch/torch.h>

#include "core/communicator.h"
#include "model/fused_batch_norm.h"
#include "model/options.h"

namespace rn::model {

inline constexpr double kNormMomentum = 0.1;
inline constexpr double kNormEpsilon = 1e-5;

// Parameters `weight` and `bias` and, but for group norm, buffers `running_mean` and `running_var`, as
// PyTorch names them. Evaluation mode uses the running statistics and calls no collective.
class NormLayerImpl : public torch::nn::Module {
 public:
  // `communicator` is used by sync_batch only (may be null otherwise) and is borrowed. Throws ConfigError
  // where options.group_norm_groups does not divide `channels`.
  NormLayerImpl(const ModelOptions& options, std::int64_t channels, Communicator* communicator);

  // [N, C, H, W] -> the same shape, dtype and memory format. In training with sync_batch: collective, N >= 0.
  torch::Tensor forward(const torch::Tensor& input) { return forward_with(input, {}); }

  // act(norm(input) + residual): one pass over the activation where can_fuse_batch_norm and the options
  // allow, else operator by operator.
  torch::Tensor forward_with(const torch::Tensor& input, const NormTail& tail);

  bool has_statistics() const { return kind_ != Norm::kGroup; }

  // Lets the statistics live in the given views [C] from now on; the running ones keep their values, the
  // batch's are set to 0. REQUIRES: has_statistics(), views of the dtype and device of running_mean.
  void place_statistics(const torch::Tensor& running_mean_view, const torch::Tensor& running_var_view,
                        const torch::Tensor& batch_mean_view, const torch::Tensor& batch_var_view);

  torch::Tensor weight, bias;               // [C], parameters
  torch::Tensor running_mean, running_var;  // [C], buffers; undefined for group norm
  torch::Tensor batch_mean, batch_var;  // [C], of the last training forward: see Note [Running statistics]

 private:
  torch::Tensor normalize(const torch::Tensor& input);
  torch::Tensor normalize_by_batch(const torch::Tensor& input);
  void prepare_batch_statistics();

  const Norm kind_;
  const bool fuse_;
  const std::int64_t groups_;
  Communicator* const communicator_;
};
TORCH_MODULE(NormLayer);

}  // namespace rn::model
