// A model's parameters, gradients and running statistics as views of flat tensors.
//
// After construction every parameter's data is a view of `weights`, its grad a view of `gradient` (autograd then
// accumulates in place), and every running statistic a view of `statistics`. Convolution weights keep channels-last
// strides. The gradient lies in the communicator's memory, so that it is reduced where it lies.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "core/flat_layout.h"

namespace rn::model {

// Hyper-parameter groups of the layout.
inline constexpr int kDecayGroup = 0;      // weights of convolutions and linear layers
inline constexpr int kNormBiasGroup = 1;   // norm weights and all biases

class FlatParameters {
 public:
  // Moves the parameters of `net` into flat storages of dtype and device of its parameters. Borrows `communicator`.
  FlatParameters(torch::nn::Module& net, Communicator& communicator, std::int64_t bucket_cap_elements);

  const FlatLayout& layout() const { return layout_; }
  torch::Tensor weights;      // [layout.size()]
  torch::Tensor gradient;     // [layout.size()], same dtype
  torch::Tensor statistics;   // [number of running means and variances], float32 (float64 with a float64 model)

  // A zeroed storage of the same layout (momentum, EMA, ...), on the same device.
  torch::Tensor make_storage() const;
  torch::Tensor make_storage(torch::Dtype dtype) const;

  // The view of one entry in any storage of this layout, with the entry's shape and strides.
  torch::Tensor view(const torch::Tensor& storage, const FlatEntry& entry) const;
  // Running statistics by name ("bn1.running_mean") as views of any tensor shaped like `statistics`.
  struct StatisticEntry {
    std::string name;
    std::int64_t offset;
    std::int64_t numel;
  };
  const std::vector<StatisticEntry>& statistic_entries() const { return statistic_entries_; }

  // The parameter (autograd leaf) of layout().entries()[i].
  const torch::Tensor& parameter(std::size_t entry) const { return parameters_[entry]; }

  std::span<std::byte> gradient_bytes() const;

 private:
  FlatLayout layout_;
  std::vector<torch::Tensor> parameters_;              // in layout order
  std::vector<StatisticEntry> statistic_entries_;
  std::shared_ptr<Buffer> gradient_memory_;            // keeps the communicator's memory alive
};

}  // namespace rn::model
