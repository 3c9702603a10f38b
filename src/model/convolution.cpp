#include "model/convolution.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>

#include "core/error.h"
#include "kernels/convolution.h"
#include "kernels/cpu_features.h"
#include "kernels/weight_gradient.h"
#include "model/float_convolution.h"
#include "model/parallel.h"

namespace rn::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;
constexpr std::int64_t kFewestImages = 16;  // the kernel computes 32 at a time, however few there are

kernels::ConvolutionShape shape_of(const torch::Tensor& input, const torch::Tensor& weight,
                                   std::int64_t stride, std::int64_t padding) {
  return {input.size(0),  input.size(2),  input.size(3), input.size(1),
          weight.size(0), weight.size(2), stride,        padding};
}

const BFloat16* values_of(const torch::Tensor& tensor) {
  return static_cast<const BFloat16*>(tensor.const_data_ptr());
}
BFloat16* mutable_values_of(const torch::Tensor& tensor) {
  return static_cast<BFloat16*>(tensor.mutable_data_ptr());
}

// body(index) for every index below n, on several threads.
template <class Body>
void for_each(std::int64_t n, const Body& body) {
  at::parallel_for(0, n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

using Pack = void(const kernels::ConvolutionShape&, const BFloat16*, std::int64_t, BFloat16*);

// The convolution `shape` of x, with what `pack` makes of `weight`, a weight of `weight_shape`.
torch::Tensor small_convolution(const kernels::ConvolutionShape& shape, const torch::Tensor& x,
                                const kernels::ConvolutionShape& weight_shape, const torch::Tensor& weight,
                                Pack* pack) {
  const auto packed = torch::empty({weight.numel()}, weight.options());
  for_each(shape.out_channels / kernels::kChannelBlock, [&](std::int64_t pair) {
    pack(weight_shape, values_of(weight), pair, mutable_values_of(packed));
  });
  auto y = torch::empty({shape.images, shape.out_channels, shape.out_height(), shape.out_width()},
                        x.options(), kChannelsLast);
  const kernels::ConvolutionParts parts(shape, at::get_num_threads());
  for_each(parts.size(), [&](std::int64_t part) {
    kernels::small_convolution(shape, values_of(x), values_of(packed), parts[part], mutable_values_of(y));
  });
  return y;
}

torch::Tensor convolve(const torch::Tensor& x, const torch::Tensor& weight, std::int64_t stride,
                       std::int64_t padding) {
  const auto shape = shape_of(x, weight, stride, padding);
  if (kernels::small_convolution_pays(shape)) {
    return small_convolution(shape, x, shape, weight, kernels::pack_weight);
  }
  return at::convolution(x, weight, {}, {stride, stride}, {padding, padding}, {1, 1}, /*transposed=*/false,
                         {0, 0}, /*groups=*/1);
}

torch::Tensor input_gradient(const torch::Tensor& x, const torch::Tensor& dy, const torch::Tensor& weight,
                             std::int64_t stride, std::int64_t padding) {
  const auto shape = shape_of(x, weight, stride, padding);
  if (stride == 1 && kernels::small_convolution_pays(kernels::input_gradient_shape(shape))) {
    return small_convolution(kernels::input_gradient_shape(shape), dy, shape, weight,
                             kernels::pack_weight_for_input_gradient);
  }
  return std::get<0>(at::convolution_backward(
      dy, x, weight, /*bias_sizes=*/at::OptionalIntArrayRef(), {stride, stride}, {padding, padding}, {1, 1},
      /*transposed=*/false, {0, 0}, /*groups=*/1, /*output_mask=*/{true, false, false}));
}

torch::Tensor weight_gradient(const torch::Tensor& input, const torch::Tensor& dy,
                              const torch::Tensor& weight, std::int64_t stride, std::int64_t padding,
                              torch::Tensor gradient) {
  const auto shape = shape_of(input, weight, stride, padding);
  const kernels::WeightBlocks blocks(shape, at::get_num_threads());
  float* const dw = gradient.mutable_data_ptr<float>();
  for_each(blocks.size(), [&](std::int64_t block) {
    kernels::weight_gradient(shape, values_of(input), values_of(dy), blocks[block], dw);
  });
  return gradient;
}

class BF16Convolution : public torch::autograd::Function<BF16Convolution> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& weight, std::int64_t stride, std::int64_t padding,
                               const GradientSlotPtr& slot) {
    const auto x = input.to(torch::kBFloat16).contiguous(kChannelsLast);
    const auto w = weight.to(torch::kBFloat16).contiguous(kChannelsLast);
    context->save_for_backward({x, w});
    context->saved_data["stride"] = stride;
    context->saved_data["padding"] = padding;
    save_slot(*context, slot);
    context->saved_data["input_type"] = static_cast<std::int64_t>(input.scalar_type());
    return convolve(x, w, stride, padding);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "bf16_convolution is differentiable once only");
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &w = saved[1];
    const std::int64_t stride = context->saved_data["stride"].toInt();
    const std::int64_t padding = context->saved_data["padding"].toInt();
    const auto dy = gradients[0].to(torch::kBFloat16).contiguous(kChannelsLast);
    torch::Tensor dx, dw;
    if (context->needs_input_grad(0)) {
      const auto type = static_cast<torch::ScalarType>(context->saved_data["input_type"].toInt());
      dx = input_gradient(x, dy, w, stride, padding).to(type);
    }
    if (context->needs_input_grad(1)) {
      dw = weight_gradient(x, dy, w, stride, padding, gradient_memory(saved_slot(*context), w));
    }
    return {dx, dw, {}, {}, {}};
  }
};

}  // namespace

ConvolutionImpl::ConvolutionImpl(const ModelOptions& model_options, std::int64_t in_channels,
                                 std::int64_t out_channels, std::int64_t kernel, std::int64_t stride)
    : torch::nn::Conv2dImpl(torch::nn::Conv2dOptions(in_channels, out_channels, kernel)
                                .stride(stride)
                                .padding(kernel / 2)
                                .bias(false)),
      own_kernels_(model_options.kernels == KernelChoice::kAuto) {}

torch::Tensor ConvolutionImpl::forward(const torch::Tensor& input) {
  const std::int64_t stride = options.stride()->at(0), padding = options.kernel_size()->at(0) / 2;
  if (own_kernels_ && can_convolve_in_bf16(input, weight, stride, padding)) {
    return bf16_convolution(input, weight, stride, padding, slot);
  }
  if (own_kernels_ && can_convolve_in_float(input, weight, stride, padding) &&
      kernels::float_convolution_pays(shape_of(input, weight, stride, padding))) {
    return float_convolution(input, weight, /*bias=*/{}, stride, padding, kernels::FloatActivation::kNone,
                             slot);
  }
  return torch::nn::Conv2dImpl::forward(input);
}

bool can_convolve_in_bf16(const torch::Tensor& input, const torch::Tensor& weight, std::int64_t stride,
                          std::int64_t padding) {
  if (!input.is_cpu() || input.dim() != 4 || input.size(0) < kFewestImages ||
      weight.scalar_type() != torch::kFloat32 || !weight.is_contiguous(kChannelsLast) ||
      !at::autocast::is_autocast_enabled(at::kCPU) ||
      at::autocast::get_autocast_dtype(at::kCPU) != torch::kBFloat16) {
    return false;
  }
  return kernels::weight_gradient_supports(shape_of(input, weight, stride, padding)) &&
         kernels::amx_bf16_available();
}

torch::Tensor bf16_convolution(const torch::Tensor& input, const torch::Tensor& weight, std::int64_t stride,
                               std::int64_t padding, const GradientSlotPtr& slot) {
  RN_CHECK(kernels::amx_bf16_available() && input.is_cpu() && input.dim() == 4 && input.size(0) > 0 &&
               weight.scalar_type() == torch::kFloat32 &&
               kernels::weight_gradient_supports(shape_of(input, weight, stride, padding)),
           "input of shape ", input.sizes(), ", weight of shape ", weight.sizes());
  return BF16Convolution::apply(input, weight, stride, padding, slot);
}

}  // namespace rn::model
