#include "federated/update_pipeline.h"

#include <span>

#include "core/error.h"
#include "federated/privacy.h"
#include "federated/robust_aggregation.h"

namespace rn::federated {
namespace {

std::span<float> span_of(torch::Tensor& host) {
  return {host.data_ptr<float>(), static_cast<std::size_t>(host.numel())};
}

}  // namespace

UpdatePipeline::UpdatePipeline(const FederatedOptions& options, const model::FlatParameters& params,
                               std::uint64_t seed, double noise_multiplier)
    : options_(options),
      seed_(seed),
      noise_multiplier_(noise_multiplier),
      slices_(tensor_slices(params.layout())),
      plain_bytes_(params.layout().numel() * static_cast<std::int64_t>(params.weights.element_size())) {
  if (options.attack != "none") {
    attackers_.emplace(attack_named(options.attack), options.byzantine, options.clients, options.attack_scale,
                       seed);
  }
  if (options.compression != "none") {
    compressor_.emplace(compression_named(options.compression), slices_, options.top_k);
    if (options.error_feedback) residual_size_ = params.layout().size();
  }
}

std::int64_t UpdatePipeline::bytes_up() const { return compressor_ ? compressor_->bytes() : plain_bytes_; }

UpdatePipeline::Outcome UpdatePipeline::apply(torch::Tensor& update, torch::Tensor residual, double clip,
                                              std::int64_t round, std::int64_t client) const {
  const bool is_noisy = options_.privacy == "local";
  const bool attacks = attackers_ && attackers_->includes(client);
  if (!attacks && !compressor_ && clip == 0 && !is_noisy) return {};
  const torch::NoGradGuard no_grad;
  // Works on the host's float32 numbers; those of a model in float32 on the CPU are the update itself.
  torch::Tensor host = update.to(torch::kCPU, torch::kFloat32);
  const auto values = span_of(host);
  if (attacks) attackers_->apply(values, slices_, round, client);
  if (compressor_) compressor_->compress(values, residual.defined() ? span_of(residual) : std::span<float>());
  const bool below_bound = clip == 0 || clip_to_norm(values, clip) == 1;
  if (is_noisy) add_privacy_noise(values, slices_, noise_multiplier_ * clip, seed_, round, client);
  if (!host.is_same(update)) update.copy_(host);
  return {.changed = true, .below_bound = below_bound};
}

}  // namespace rn::federated
