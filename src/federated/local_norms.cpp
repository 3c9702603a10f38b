#include "federated/local_norms.h"

#include <set>

#include "model/norm.h"

namespace rn::federated {

LocalNorms::LocalNorms(const FederatedOptions& options, torch::nn::Module& net, model::FlatParameters& params)
    : params_(params), keeps_statistics_(options.norm_state == "local" || options.local_norms) {
  if (keeps_statistics_) state_size_ += params.statistics.numel();
  if (!options.local_norms) return;
  std::set<std::string> names;
  for (const auto& item : net.named_modules("", /*include_self=*/false)) {
    if (item.value()->as<model::NormLayerImpl>() == nullptr) continue;
    for (const auto& parameter : item.value()->named_parameters())
      names.insert(item.key() + "." + parameter.key());
  }
  for (const FlatEntry& entry : params.layout().entries()) {
    if (!names.contains(entry.spec.name)) continue;
    slices_.push_back({entry.offset, entry.numel});
    state_size_ += entry.numel;
  }
}

void LocalNorms::load(const torch::Tensor& state) const {
  const torch::NoGradGuard no_grad;
  std::int64_t at = 0;
  for (const Slice& slice : slices_) {
    params_.weights.narrow(0, slice.offset, slice.size).copy_(state.narrow(0, at, slice.size));
    at += slice.size;
  }
  if (keeps_statistics_) params_.statistics.copy_(state.narrow(0, at, params_.statistics.numel()));
}

void LocalNorms::save(torch::Tensor state) const {
  const torch::NoGradGuard no_grad;
  std::int64_t at = 0;
  for (const Slice& slice : slices_) {
    state.narrow(0, at, slice.size).copy_(params_.weights.narrow(0, slice.offset, slice.size));
    at += slice.size;
  }
  if (keeps_statistics_) state.narrow(0, at, params_.statistics.numel()).copy_(params_.statistics);
}

void LocalNorms::forget(const torch::Tensor& start) const {
  const torch::NoGradGuard no_grad;
  for (const Slice& slice : slices_) {
    params_.weights.narrow(0, slice.offset, slice.size).copy_(start.narrow(0, slice.offset, slice.size));
  }
}

}  // namespace rn::federated
