#include "model/linear.h"

#include <ATen/autocast_mode.h>

#include "core/error.h"
#include "model/observed.h"

namespace rn::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& weight, const torch::Tensor& bias,
                               const GradientSlotPtr& slot) {
    const auto x = input.contiguous();
    context->save_for_backward({x, weight});
    save_slot(*context, slot);
    return at::addmm(bias.unsqueeze(1), weight, x.t()).t().contiguous();
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "Linear is differentiable once only");
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const auto dy = gradients[0].contiguous();
    torch::Tensor dx, dw, dbias;
    if (context->needs_input_grad(0)) dx = at::mm(dy, weight);
    if (context->needs_input_grad(1)) {
      dw = gradient_memory(saved_slot(*context), weight);
      at::mm_out(dw, dy.t(), x);
    }
    if (context->needs_input_grad(2)) dbias = dy.sum(0);
    return {dx, dw, dbias, {}};
  }
};

}  // namespace

LinearImpl::LinearImpl(const ModelOptions& model_options, std::int64_t in, std::int64_t out)
    : torch::nn::LinearImpl(in, out), own_kernels_(model_options.kernels == KernelChoice::kAuto) {}

torch::Tensor LinearImpl::forward(const torch::Tensor& input) {
  const bool is_plain = input.is_cpu() && input.dim() == 2 && input.size(0) > 0 &&
                        input.scalar_type() == torch::kFloat32 && weight.scalar_type() == torch::kFloat32 &&
                        !at::autocast::is_autocast_enabled(at::kCPU);
  if (!own_kernels_ || !is_plain) return torch::nn::LinearImpl::forward(input);
  return observed("rn::linear", input, weight,
                  [&] { return LinearFunction::apply(input, weight, bias, slot); });
}

}  // namespace rn::model
