#include "model/pooled_convolution.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "kernels/cpu_features.h"
#include "kernels/pooled_gradient.h"
#include "model/observed.h"
#include "model/parallel.h"
#include "model/relu_pool.h"

namespace rn::model {
namespace {

using kernels::ConvolutionShape;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

ConvolutionShape shape_of(const torch::Tensor& input, const torch::Tensor& weight) {
  return {input.size(0),  input.size(2),  input.size(3), input.size(1),
          weight.size(0), weight.size(2), /*stride=*/1,  /*padding=*/0};
}

class PooledConvolution : public torch::autograd::Function<PooledConvolution> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const GradientSlotPtr& slot) {
    const auto bf16 = [](const torch::Tensor& values) {
      return values.to(torch::kBFloat16).contiguous(values.suggest_memory_format());
    };
    const auto x = input.to(torch::kBFloat16).contiguous(kChannelsLast), w = bf16(weight);
    const auto sums =
        at::convolution(x, w, bf16(bias), {1, 1}, {0, 0}, {1, 1}, /*transposed=*/false, {0, 0}, /*groups=*/1)
            .contiguous(kChannelsLast);
    auto [y, taken] = pool_after_convolution(sums);
    context->save_for_backward({x, w, taken});
    context->saved_data["input_type"] = static_cast<std::int64_t>(input.scalar_type());
    save_slot(*context, slot);
    return y.to(torch::kFloat32);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "convolve_and_pool_in_bf16 is differentiable once only");
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &w = saved[1], &taken = saved[2];
    const auto shape = shape_of(x, w);
    const auto dy = gradients[0].contiguous(kChannelsLast);
    torch::Tensor dx, dw, dbias;
    if (context->needs_input_grad(0)) {
      const auto dsums = pool_gradient(dy.to(torch::kBFloat16), taken, shape.out_height(), shape.out_width());
      const auto type = static_cast<torch::ScalarType>(context->saved_data["input_type"].toInt());
      dx = std::get<0>(at::convolution_backward(dsums, x, w, /*bias_sizes=*/at::OptionalIntArrayRef(), {1, 1},
                                                {0, 0}, {1, 1}, /*transposed=*/false, {0, 0}, /*groups=*/1,
                                                /*output_mask=*/{true, false, false}))
               .to(type);
    }
    if (context->needs_input_grad(1)) {
      dw = pooled_weight_gradient(shape, x.to(torch::kFloat32), dy, taken,
                                  gradient_memory(saved_slot(*context), w));
    }
    if (context->needs_input_grad(2)) dbias = pooled_bias_gradient(shape, dy, taken);
    return {dx, dw, dbias, {}};
  }
};

}  // namespace

torch::Tensor pooled_input_gradient(const kernels::ConvolutionShape& shape, const torch::Tensor& x,
                                    const torch::Tensor& weight, const torch::Tensor& dy,
                                    const torch::Tensor& taken) {
  auto dx = torch::empty_like(x);
  const float *const weights = weight.const_data_ptr<float>(), *const from = dy.const_data_ptr<float>();
  const std::uint8_t* const places = taken.const_data_ptr<std::uint8_t>();
  float* const to = dx.mutable_data_ptr<float>();
  at::parallel_for(0, shape.images, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels::pooled_input_gradient(shape, weights, from, places, begin, end, to);
  });
  return dx;
}

torch::Tensor pooled_weight_gradient(const kernels::ConvolutionShape& shape, const torch::Tensor& x,
                                     const torch::Tensor& dy, const torch::Tensor& taken, torch::Tensor dw) {
  const float *const input = x.const_data_ptr<float>(), *const from = dy.const_data_ptr<float>();
  const std::uint8_t* const places = taken.const_data_ptr<std::uint8_t>();
  float* const to = dw.mutable_data_ptr<float>();
  at::parallel_for(0, shape.out_channels, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels::pooled_weight_gradient(shape, input, from, places, begin, end, to);
  });
  return dw;
}

torch::Tensor pooled_bias_gradient(const kernels::ConvolutionShape& shape, const torch::Tensor& dy,
                                   const torch::Tensor& taken) {
  const auto by_image = torch::empty({shape.images, shape.out_channels}, dy.options());
  kernels::pooled_bias_gradient(shape, dy.const_data_ptr<float>(), taken.const_data_ptr<std::uint8_t>(), 0,
                                shape.images, by_image.mutable_data_ptr<float>());
  return by_image.sum(0);
}

bool can_convolve_and_pool_in_bf16(const torch::Tensor& input, const torch::Tensor& weight) {
  return input.is_cpu() && input.dim() == 4 && input.size(0) > 0 && weight.scalar_type() == torch::kFloat32 &&
         weight.is_contiguous(kChannelsLast) && weight.size(2) == weight.size(3) &&
         at::autocast::is_autocast_enabled(at::kCPU) &&
         at::autocast::get_autocast_dtype(at::kCPU) == torch::kBFloat16 &&
         kernels::pooled_weight_gradient_pays(shape_of(input, weight)) && kernels::avx512_available();
}

torch::Tensor convolve_and_pool_in_bf16(const torch::Tensor& input, const torch::Tensor& weight,
                                        const torch::Tensor& bias, const GradientSlotPtr& slot) {
  const auto shape = shape_of(input, weight);
  return observed("rn::convolve_and_pool_in_bf16", input, weight,
                  [&] { return PooledConvolution::apply(input, weight, bias, slot); },
                  {shape.images, shape.out_channels, shape.out_height(), shape.out_width()});
}

}  // namespace rn::model
