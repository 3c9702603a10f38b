#include "model/norm.h"

#include <ATen/Context.h>

#include "core/error.h"
#include "model/sync_batch_norm.h"

namespace rn::model {

NormLayerImpl::NormLayerImpl(const ModelOptions& options, std::int64_t channels, Communicator* communicator)
    : kind_(options.norm),
      fuse_(kind_ == Norm::kBatch && options.kernels == KernelChoice::kAuto),
      groups_(options.group_norm_groups),
      communicator_(communicator) {
  if (kind_ == Norm::kGroup && (groups_ < 1 || channels % groups_ != 0)) {
    throw ConfigError(cat("model.group_norm_groups: ", groups_, " groups cannot share a layer of ", channels,
                          " channels evenly; choose a divisor of model.width (", options.width, ")"));
  }
  RN_CHECK(kind_ != Norm::kSyncBatch || communicator_ != nullptr, "norm: sync_batch needs a communicator");
  weight = register_parameter("weight", torch::ones({channels}));
  bias = register_parameter("bias", torch::zeros({channels}));
  if (has_statistics()) {
    running_mean = register_buffer("running_mean", torch::zeros({channels}));
    running_var = register_buffer("running_var", torch::ones({channels}));
  }
}

torch::Tensor NormLayerImpl::forward_with(const torch::Tensor& input, const NormTail& tail) {
  if (fuse_ && can_fuse_batch_norm(input, weight)) {
    if (is_training()) {
      prepare_batch_statistics();
      return fused_batch_norm(input, weight, bias, kNormEpsilon, tail, batch_mean, batch_var);
    }
    if (!torch::GradMode::is_enabled()) {
      return fused_batch_norm_inference(input, weight, bias, kNormEpsilon, tail, running_mean, running_var);
    }
  }
  return apply_tail(normalize(input), tail);
}

torch::Tensor NormLayerImpl::normalize(const torch::Tensor& input) {
  const bool cudnn = at::globalContext().userEnabledCuDNN();
  if (kind_ == Norm::kGroup) return at::group_norm(input, groups_, weight, bias, kNormEpsilon, cudnn);
  if (is_training()) return normalize_by_batch(input);
  return at::batch_norm(input, weight, bias, running_mean, running_var, /*training=*/false, kNormMomentum,
                        kNormEpsilon, cudnn);
}

torch::Tensor NormLayerImpl::normalize_by_batch(const torch::Tensor& input) {
  prepare_batch_statistics();
  if (kind_ == Norm::kSyncBatch) {
    auto [output, mean, variance] = sync_batch_norm(input, weight, bias, kNormEpsilon, *communicator_);
    const torch::NoGradGuard no_grad;
    batch_mean.copy_(mean);
    batch_var.copy_(variance);
    return output;
  }
  // With momentum 1 the "running" statistics that the operator writes are the batch's own. It computes 0 *
  // old + 1 * new: `old` must not be NaN. It also saves them for backward (unread in training):
  // variable_data() has a version counter of its own, so that the next forward may write them before this
  // one's backward.
  {
    const torch::NoGradGuard no_grad;
    batch_mean.zero_();
    batch_var.zero_();
  }
  auto output = at::batch_norm(input, weight, bias, batch_mean.variable_data(), batch_var.variable_data(),
                               /*training=*/true, /*momentum=*/1.0, kNormEpsilon,
                               at::globalContext().userEnabledCuDNN());
  if (input.numel() == input.size(1)) {  // one value per channel: the operator divided by n - 1 = 0
    const torch::NoGradGuard no_grad;
    batch_var.zero_();
  }
  return output;
}

void NormLayerImpl::prepare_batch_statistics() {
  // Without FlatParameters (or after Module::to, which moves registered tensors only) they are made here.
  if (batch_mean.defined() && batch_mean.options().type_equal(running_mean.options()) &&
      batch_mean.device() == running_mean.device()) {
    return;
  }
  batch_mean = torch::zeros_like(running_mean);
  batch_var = torch::zeros_like(running_var);
}

void NormLayerImpl::place_statistics(const torch::Tensor& running_mean_view,
                                     const torch::Tensor& running_var_view,
                                     const torch::Tensor& batch_mean_view,
                                     const torch::Tensor& batch_var_view) {
  RN_CHECK(has_statistics());
  const torch::NoGradGuard no_grad;
  running_mean_view.copy_(running_mean);
  running_var_view.copy_(running_var);
  running_mean.set_data(running_mean_view);  // the registered buffer is the same tensor object
  running_var.set_data(running_var_view);
  // variable_data(): the step reads the flat tensor, whose version counter must not tie it to saved tensors.
  batch_mean = batch_mean_view.variable_data();
  batch_var = batch_var_view.variable_data();
  batch_mean.zero_();
  batch_var.zero_();
}

}  // namespace rn::model
