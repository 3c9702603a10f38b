// A model's parameters, gradients and running statistics as views of flat tensors.
//
// After construction every parameter's data is a view of `weights`, its grad a view of `gradient`, and every
// running statistic a view of `statistics`. Convolution weights keep channels-last strides. The gradient lies
// in the communicator's memory, so that it is reduced where it lies. Module::to must not be called
// afterwards: it would cut the views.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "core/flat_layout.h"
#include "model/gradient_slot.h"

namespace rn::model {

// Hyper-parameter groups of the layout.
inline constexpr int kDecayGroup = 0;   // weights of convolutions and linear layers
inline constexpr int kPlainGroup = 1;   // norm weights, biases of linear layers
inline constexpr int kShiftGroup = 2;   // norm biases
inline constexpr int kFrozenGroup = 3;  // without requires_grad: no update touches them

class FlatParameters {
 public:
  // Moves the parameters of `net`, which keep their values, into flat storages of their dtype and device.
  // Collective (allocation). The communicator must outlive the gradient. REQUIRES: parameters of one dtype
  // (float32 or float64) and device, bucket_cap_elements > 0; buffers belong to NormLayers only.
  FlatParameters(torch::nn::Module& net, Communicator& communicator, std::int64_t bucket_cap_elements);

  const FlatLayout& layout() const { return layout_; }
  torch::Tensor weights;   // [layout.size()]
  torch::Tensor gradient;  // [layout.size()], same dtype; in the communicator's memory where it reaches it
  torch::Tensor
      statistics;  // [number of running means and variances], float32 (float64 with a float64 model)
  // Like `statistics`: mean and unbiased variance of the shard that last ran forward in training mode, zero
  // before. After each shard: sum.add_(params.batch_statistics, count); see Note [Running statistics] in
  // norm.h.
  torch::Tensor batch_statistics;

  // Before a step's first backward pass: `gradient` counts as zero from now on, although nothing is written,
  // see Note [Gradients in place]. Until settle() a parameter's grad may lie elsewhere. With a step, layers
  // may take it in the one backward pass that follows, see Note [Steps in the backward pass].
  void begin_gradient(const std::optional<PlainStep>& step = {});
  // After a backward pass has reached the parameter of an entry, as its post-accumulate hook for instance:
  // its gradient lies in `gradient` afterwards.
  void settle(std::size_t entry);
  // After a step's last backward pass: all of them do, and those that none was computed for are zero. What
  // `gradient` holds for those of stepped() means nothing.
  void settle_gradient();
  // The entries whose weights their layers have moved in the backward pass.
  std::vector<std::size_t> stepped() const;

  // A zeroed storage of the same layout (momentum, EMA, ...), on the same device.
  torch::Tensor make_storage() const;
  torch::Tensor make_storage(torch::Dtype dtype) const;

  // The view of one entry in any storage of this layout, with the entry's shape and strides.
  torch::Tensor view(const torch::Tensor& storage, const FlatEntry& entry) const;

  // Running statistics by name ("bn1.running_mean"), where they lie in any tensor shaped like `statistics`.
  struct StatisticEntry {
    std::string name;
    std::int64_t offset;
    std::int64_t numel;
  };
  const std::vector<StatisticEntry>& statistic_entries() const { return statistic_entries_; }
  torch::Tensor view(const torch::Tensor& values, const StatisticEntry& entry) const;

  // The parameter (autograd leaf) of layout().entries()[i].
  const torch::Tensor& parameter(std::size_t entry) const { return parameters_[entry]; }

  // Indices into layout().entries() in the order in which the model declares its parameters (conv1 first, fc
  // last).
  const std::vector<std::size_t>& model_order() const { return model_order_; }

  std::span<std::byte> gradient_bytes() const;

 private:
  void place_parameters(torch::nn::Module& net, Communicator& communicator, std::int64_t bucket_cap_elements);
  void place_statistics(torch::nn::Module& net);

  FlatLayout layout_;
  std::vector<torch::Tensor> parameters_;  // in layout order
  std::vector<torch::Tensor> slices_;      // their views of `gradient`
  std::vector<GradientSlotPtr> slots_;     // null: the entry's layer has none
  std::vector<std::size_t> model_order_;
  std::vector<StatisticEntry> statistic_entries_;
};

}  // namespace rn::model
