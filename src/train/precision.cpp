#include "train/precision.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>

#include "dist/cuda_device.h"

namespace rn::train {
namespace {

constexpr double kInitialScale = 65536.0;  // GradScaler's defaults
constexpr double kGrowthFactor = 2.0;
constexpr double kBackoffFactor = 0.5;
constexpr int kGrowthInterval = 2000;

bool cpu_computes_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

}  // namespace

std::string_view name_of(Precision precision) {
  switch (precision) {
    case Precision::kFP32:
      return "fp32";
    case Precision::kBF16:
      return "bf16";
    case Precision::kFP16:
      return "fp16";
  }
  return "?";
}

Precision resolve_precision(PrecisionChoice choice, torch::Device device) {
  switch (choice) {
    case PrecisionChoice::kFP32:
      return Precision::kFP32;
    case PrecisionChoice::kBF16:
      return Precision::kBF16;
    case PrecisionChoice::kFP16:
      return Precision::kFP16;
    case PrecisionChoice::kAuto:
      break;
  }
  if (device.is_cuda()) {
    // Not a trial: older GPUs take bf16 too, and emulate it slowly.
    const int index = device.has_index() ? device.index() : 0;
    return dist::cuda_device_computes_bf16(index) ? Precision::kBF16 : Precision::kFP16;
  }
  return cpu_computes_bf16() ? Precision::kBF16 : Precision::kFP32;
}

AutocastScope::AutocastScope(Precision precision, torch::Device device)
    : device_(device.type()),
      was_enabled_(at::autocast::is_autocast_enabled(device.type())),
      active_(precision != Precision::kFP32) {
  if (!active_) return;
  at::autocast::set_autocast_dtype(device_, precision == Precision::kBF16 ? torch::kBFloat16 : torch::kHalf);
  at::autocast::set_autocast_enabled(device_, true);
}

AutocastScope::~AutocastScope() {
  if (!active_) return;
  at::autocast::set_autocast_enabled(device_, was_enabled_);
  at::autocast::clear_cache();
}

LossScaler::LossScaler(Precision precision, torch::Device device) : enabled_(precision == Precision::kFP16) {
  scale = torch::full({}, enabled_ ? kInitialScale : 1.0, torch::dtype(torch::kFloat32).device(device));
  growth_tracker = torch::zeros({}, torch::dtype(torch::kInt32).device(device));
}

LossScaler::Unscaled LossScaler::unscale(torch::Tensor& gradient) {
  const torch::NoGradGuard no_grad;
  auto found_inf = torch::zeros({1}, scale.options());
  if (enabled_) {
    at::_amp_foreach_non_finite_check_and_unscale_(gradient, found_inf, scale.reciprocal());
    return {found_inf, at::linalg_vector_norm(gradient).to(torch::kFloat32)};
  }
  // The norm is not finite exactly where an element is not (or the sum of squares overflows, which is as
  // fatal), and it reads the gradient once where the check above would also write it.
  const auto norm = at::linalg_vector_norm(gradient).to(torch::kFloat32);
  return {norm.isfinite().logical_not().to(torch::kFloat32).reshape({1}), norm};
}

void LossScaler::update(const torch::Tensor& found_inf) {
  if (!enabled_) return;
  at::_amp_update_scale_(scale, growth_tracker, found_inf, kGrowthFactor, kBackoffFactor, kGrowthInterval);
}

}  // namespace rn::train
