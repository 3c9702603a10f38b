#include "model/stem_whitening.h"

#include <algorithm>

#include "core/error.h"

namespace rn::model {
namespace {

// Added to every component's variance: the smallest ones are noise that need not be blown up (Jordan 2024).
constexpr double kVarianceFloor = 5e-4;

torch::nn::Conv2dImpl& first_convolution(torch::nn::Module& net) {
  for (const auto& module : net.modules(/*include_self=*/false)) {
    if (auto* convolution = module->as<torch::nn::Conv2dImpl>()) return *convolution;
  }
  throw InternalError("a network without a convolution");
}

}  // namespace

void whiten_stem(torch::nn::Module& net, const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  torch::Tensor& weight = first_convolution(net).weight;  // [O, C, kH, kW]
  RN_CHECK(images.dim() == 4 && images.size(1) == weight.size(1), "images ", images.sizes(), ", filters ",
           weight.sizes());
  // Inside the images only: padding is no picture. [N, L, C * kH * kW] -> the second moments of all patches.
  const auto patches = at::im2col(images.contiguous(), {weight.size(2), weight.size(3)}, /*dilation=*/{1, 1},
                                  /*padding=*/{0, 0}, /*stride=*/{1, 1})
                           .transpose(0, 1)
                           .flatten(1);  // [C * kH * kW, N * L]
  const auto moments = patches.mm(patches.t()).to(torch::kFloat64) / static_cast<double>(patches.size(1));
  const auto [variances, components] = at::linalg_eigh(moments);  // ascending; components in columns
  const std::int64_t used = std::min(components.size(1), weight.size(0) / 2);
  const auto largest = components.flip(1).narrow(1, 0, used);
  const auto scales = (variances.flip(0).narrow(0, 0, used) + kVarianceFloor).rsqrt();
  const auto filters = (largest * scales).t().reshape({used, weight.size(1), weight.size(2), weight.size(3)});
  weight.narrow(0, 0, used).copy_(filters);
  weight.narrow(0, used, used).copy_(-filters);
  weight.set_requires_grad(false);
}

}  // namespace rn::model
