#include "model/float_convolution.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/convolution_backward.h>

#include <optional>

#include "core/error.h"
#include "kernels/cpu_features.h"
#include "kernels/pooled_gradient.h"
#include "model/observed.h"
#include "model/parallel.h"
#include "model/pooled_convolution.h"
#include "model/relu_pool.h"

namespace rn::model {
namespace {

using kernels::ConvolutionShape;
using kernels::FloatActivation;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
using kernels::kOutputsTogether;

ConvolutionShape shape_of(const torch::Tensor& input, const torch::Tensor& weight, std::int64_t stride,
                          std::int64_t padding) {
  return {input.size(0),  input.size(2),  input.size(3), input.size(1),
          weight.size(0), weight.size(2), stride,        padding};
}

torch::Tensor make_activation(const ConvolutionShape& s, bool pooled, const torch::TensorOptions& options) {
  const std::int64_t by = pooled ? 2 : 1;
  return torch::empty({s.images, s.out_channels, s.out_height() / by, s.out_width() / by}, options,
                      kChannelsLast);
}

// Writes the convolution of x; images on several threads.
void convolve(const ConvolutionShape& shape, const torch::Tensor& x, const torch::Tensor& packed,
              const torch::Tensor& bias, FloatActivation activation, torch::Tensor& y, torch::Tensor& taken) {
  const float* const from = x.const_data_ptr<float>();
  const float* const weight = packed.const_data_ptr<float>();
  const float* const offset = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  float* const to = y.mutable_data_ptr<float>();
  std::uint8_t* const places = taken.defined() ? taken.mutable_data_ptr<std::uint8_t>() : nullptr;
  at::parallel_for(0, shape.images, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels::float_convolution(shape, from, weight, offset, activation, begin, end, to, places);
  });
}

torch::Tensor input_gradient(const ConvolutionShape& shape, const torch::Tensor& x,
                             const torch::Tensor& weight, const torch::Tensor& dsums) {
  if (shape.stride != 1) {
    return std::get<0>(at::convolution_backward(dsums, x, weight, /*bias_sizes=*/at::OptionalIntArrayRef(),
                                                {shape.stride, shape.stride}, {shape.padding, shape.padding},
                                                {1, 1}, /*transposed=*/false, {0, 0}, /*groups=*/1,
                                                /*output_mask=*/{true, false, false}));
  }
  const auto reversed = kernels::input_gradient_shape(shape);
  const auto packed = torch::empty({kernels::packed_float_weight_size(reversed)}, weight.options());
  kernels::pack_float_weight_for_input_gradient(shape, weight.const_data_ptr<float>(),
                                                packed.mutable_data_ptr<float>());
  auto dx = torch::empty_like(x);
  torch::Tensor nowhere;
  convolve(reversed, dsums, packed, /*bias=*/{}, FloatActivation::kNone, dx, nowhere);
  return dx;
}

torch::Tensor weight_gradient(const ConvolutionShape& shape, const torch::Tensor& x,
                              const torch::Tensor& dsums, torch::Tensor dw) {
  const float* const input = x.const_data_ptr<float>();
  const float* const gradient = dsums.const_data_ptr<float>();
  float* const to = dw.mutable_data_ptr<float>();
  const std::int64_t parts = (shape.out_channels + kOutputsTogether - 1) / kOutputsTogether;
  at::parallel_for(0, parts, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels::float_weight_gradient(shape, input, gradient, begin * kOutputsTogether,
                                   std::min(shape.out_channels, end * kOutputsTogether), to);
  });
  return dw;
}

struct ActivationGradient {
  torch::Tensor sums, bias;
};

// `result`: y after a relu, `taken` after pooling.
ActivationGradient activation_gradient(const ConvolutionShape& shape, FloatActivation activation,
                                       const torch::Tensor& dy, const torch::Tensor& result) {
  const auto options = dy.options();
  ActivationGradient gradient{make_activation(shape, /*pooled=*/false, options),
                              torch::empty({shape.images, shape.out_channels}, options)};
  const bool pools = activation == FloatActivation::kMaxPool;
  const float* const from = dy.const_data_ptr<float>();
  const float* const y = pools ? nullptr : result.const_data_ptr<float>();
  const std::uint8_t* const taken = pools ? result.const_data_ptr<std::uint8_t>() : nullptr;
  float* const sums = gradient.sums.mutable_data_ptr<float>();
  float* const bias = gradient.bias.mutable_data_ptr<float>();
  at::parallel_for(0, shape.images, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels::float_activation_gradient(shape, activation, from, y, taken, begin, end, sums, bias);
  });
  gradient.bias = gradient.bias.sum(0);
  return gradient;
}

class FloatConvolution : public torch::autograd::Function<FloatConvolution> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& weight, const std::optional<torch::Tensor>& bias,
                               std::int64_t stride, std::int64_t padding, FloatActivation activation,
                               const GradientSlotPtr& slot) {
    const auto x = input.contiguous(kChannelsLast);
    const auto shape = shape_of(x, weight, stride, padding);
    const bool pools = activation == FloatActivation::kMaxPool;
    const auto packed = torch::empty({kernels::packed_float_weight_size(shape)}, weight.options());
    kernels::pack_float_weight(shape, weight.const_data_ptr<float>(), packed.mutable_data_ptr<float>());
    auto y = make_activation(shape, pools, x.options());
    torch::Tensor taken;
    if (pools) taken = torch::empty_like(y, torch::kUInt8);
    convolve(shape, x, packed, bias.value_or(torch::Tensor()), activation, y, taken);
    context->save_for_backward({x, weight, activation == FloatActivation::kRelu ? y : taken});
    save_slot(*context, slot);
    context->saved_data["has_bias"] = bias.has_value();
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    context->saved_data["activation"] = static_cast<std::int64_t>(activation);
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "float_convolution is differentiable once only");
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const auto shape =
        shape_of(x, weight, context->saved_data["stride"].toInt(), context->saved_data["padding"].toInt());
    const auto activation = static_cast<FloatActivation>(context->saved_data["activation"].toInt());
    const bool needs_x = context->needs_input_grad(0), needs_weight = context->needs_input_grad(1);
    const bool needs_bias = context->saved_data["has_bias"].toBool() && context->needs_input_grad(2);
    const auto dy = gradients[0].contiguous(kChannelsLast);
    const bool pools = activation == FloatActivation::kMaxPool;
    const bool pooled_x = pools && kernels::pooled_input_gradient_pays(shape);
    const bool pooled_weight = pools && kernels::pooled_weight_gradient_pays(shape);
    ActivationGradient of{dy, {}};  // by the sums
    if (activation == FloatActivation::kNone) {
      if (needs_bias) of.bias = dy.sum(at::IntArrayRef({0, 2, 3}));
    } else if (!pools || (needs_x && !pooled_x) || (needs_weight && !pooled_weight)) {
      of = activation_gradient(shape, activation, dy, saved[2]);
    } else if (needs_bias) {
      of.bias = pooled_bias_gradient(shape, dy, saved[2]);
    }
    torch::Tensor dx, dw;
    if (needs_x) {
      dx = pooled_x ? pooled_input_gradient(shape, x, weight, dy, saved[2])
                    : input_gradient(shape, x, weight, of.sums);
    }
    if (needs_weight) {
      const auto memory = gradient_memory(saved_slot(*context), weight);
      dw = pooled_weight ? pooled_weight_gradient(shape, x, dy, saved[2], memory)
                         : weight_gradient(shape, x, of.sums, memory);
    }
    return {dx, dw, needs_bias ? of.bias : torch::Tensor(), {}, {}, {}, {}};
  }
};

}  // namespace

bool can_convolve_in_float(const torch::Tensor& input, const torch::Tensor& weight, std::int64_t stride,
                           std::int64_t padding) {
  return input.is_cpu() && input.dim() == 4 && input.size(0) > 0 && input.scalar_type() == torch::kFloat32 &&
         weight.scalar_type() == torch::kFloat32 && weight.is_contiguous(kChannelsLast) &&
         weight.size(2) == weight.size(3) && !at::autocast::is_autocast_enabled(at::kCPU) &&
         kernels::float_convolution_supports(shape_of(input, weight, stride, padding)) &&
         kernels::avx512_available();
}

torch::Tensor float_convolution(const torch::Tensor& input, const torch::Tensor& weight,
                                const torch::Tensor& bias, std::int64_t stride, std::int64_t padding,
                                FloatActivation activation, const GradientSlotPtr& slot) {
  RN_CHECK(can_convolve_in_float(input, weight, stride, padding), "input of shape ", input.sizes(),
           ", weight of shape ", weight.sizes());
  // Autograd takes no undefined tensor.
  const auto given = bias.defined() ? std::optional(bias) : std::nullopt;
  const auto shape = shape_of(input, weight, stride, padding);
  return observed(
      "rn::float_convolution", input, weight,
      [&] { return FloatConvolution::apply(input, weight, given, stride, padding, activation, slot); },
      {shape.images, shape.out_channels, shape.out_height(), shape.out_width()});
}

ConvolutionReluImpl::ConvolutionReluImpl(const ModelOptions& model_options, std::int64_t in_channels,
                                         std::int64_t out_channels, std::int64_t kernel, Pooling pooling)
    : torch::nn::Conv2dImpl(torch::nn::Conv2dOptions(in_channels, out_channels, kernel)),
      own_kernels_(model_options.kernels == KernelChoice::kAuto),
      pooling_(pooling) {}

torch::Tensor ConvolutionReluImpl::forward(const torch::Tensor& input) {
  const bool pools = pooling_ == Pooling::kMax2x2;
  if (own_kernels_ && can_convolve_in_float(input, weight, /*stride=*/1, /*padding=*/0)) {
    return float_convolution(input, weight, bias, /*stride=*/1, /*padding=*/0,
                             pools ? FloatActivation::kMaxPool : FloatActivation::kRelu, slot);
  }
  if (own_kernels_ && pools && can_convolve_and_pool_in_bf16(input, weight)) {
    return convolve_and_pool_in_bf16(input, weight, bias, slot);
  }
  auto y = torch::nn::Conv2dImpl::forward(input);
  if (own_kernels_ && can_relu_pool(y)) return relu_pool(y, pools);
  if (pools) y = at::max_pool2d(y, /*kernel_size=*/2);
  return y.relu_();  // what came before is not needed for its gradient
}

}  // namespace rn::model
