#include "model/linear.h"

#include <ATen/autocast_mode.h>

#include "core/error.h"
#include "kernels/float_linear.h"
#include "model/observed.h"
#include "model/parallel.h"

namespace rn::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kLeastColumns = 32;  // of a thread

kernels::LinearShape shape_of(const torch::Tensor& x, const torch::Tensor& weight) {
  return {x.size(0), weight.size(1), weight.size(0)};
}

torch::Tensor product(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) {
  const auto shape = shape_of(x, weight);
  if (!kernels::float_linear_supports(shape)) {
    return at::addmm(bias.unsqueeze(1), weight, x.t()).t().contiguous();
  }
  auto y = torch::empty({shape.rows, shape.out}, x.options());
  const float *const from = x.const_data_ptr<float>(), *const weights = weight.const_data_ptr<float>();
  const float* const offset = bias.const_data_ptr<float>();
  float* const to = y.mutable_data_ptr<float>();
  at::parallel_for(0, shape.out, kLeastColumns, [&](std::int64_t begin, std::int64_t end) {
    kernels::float_linear(shape, from, weights, offset, begin, end, to);
  });
  return y;
}

torch::Tensor input_gradient(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& dy) {
  const auto shape = shape_of(x, weight);
  if (!kernels::float_linear_supports(shape)) return at::mm(dy, weight);
  auto dx = torch::empty_like(x);
  const float *const from = dy.const_data_ptr<float>(), *const weights = weight.const_data_ptr<float>();
  float* const to = dx.mutable_data_ptr<float>();
  at::parallel_for(0, shape.in, kLeastColumns, [&](std::int64_t begin, std::int64_t end) {
    kernels::float_linear_input_gradient(shape, from, weights, begin, end, to);
  });
  return dx;
}

void weight_gradient(const torch::Tensor& x, const torch::Tensor& dy, torch::Tensor& dw) {
  const auto shape = shape_of(x, dw);
  if (!kernels::float_linear_supports(shape)) {
    at::mm_out(dw, dy.t(), x);
    return;
  }
  const float *const from = x.const_data_ptr<float>(), *const gradient = dy.const_data_ptr<float>();
  float* const to = dw.mutable_data_ptr<float>();
  at::parallel_for(0, shape.out, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels::float_linear_weight_gradient(shape, from, gradient, begin, end, to);
  });
}

// Moves the weight by a step with its gradient; returns that of the input, or nothing.
torch::Tensor step_weight(const PlainStep& step, const torch::Tensor& x, const torch::Tensor& dy,
                          torch::Tensor weight, bool needs_x) {
  const auto shape = shape_of(x, weight);
  auto dx = needs_x ? torch::empty_like(x) : torch::Tensor();
  const float *const from = x.const_data_ptr<float>(), *const gradient = dy.const_data_ptr<float>();
  // Past autograd's count of versions: nobody reads the weight for a gradient after this.
  float *const weights = weight.mutable_data_ptr<float>(), *const to = needs_x ? dx.mutable_data_ptr<float>()
                                                                               : nullptr;
  const auto lr = static_cast<float>(step.lr), decay = static_cast<float>(step.weight_decay);
  at::parallel_for(0, shape.in, kLeastColumns, [&](std::int64_t begin, std::int64_t end) {
    kernels::float_linear_step(shape, from, gradient, lr, decay, begin, end, weights, to);
  });
  return dx;
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const torch::Tensor& weight, const torch::Tensor& bias, bool cuts,
                               const GradientSlotPtr& slot) {
    const auto x = input.contiguous();
    auto y = product(x, weight, bias);
    if (cuts) y.relu_();
    context->save_for_backward({x, weight, cuts ? y : torch::Tensor()});
    save_slot(*context, slot);
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "Linear is differentiable once only");
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    auto dy = gradients[0].contiguous();
    if (saved[2].defined()) dy = at::threshold_backward(dy, saved[2], /*threshold=*/0);  // as the relu's own
    const bool needs_x = context->needs_input_grad(0), needs_weight = context->needs_input_grad(1);
    const auto slot = saved_slot(*context);
    torch::Tensor dx, dw, dbias;
    if (context->needs_input_grad(2)) dbias = dy.sum(0);
    if (slot && needs_weight && kernels::float_linear_supports(shape_of(x, weight))) {
      if (const auto step = slot->take_step()) {
        return {step_weight(*step, x, dy, weight, needs_x), dw, dbias, {}, {}};
      }
    }
    if (needs_x) dx = input_gradient(x, weight, dy);
    if (needs_weight) {
      dw = gradient_memory(slot, weight);
      weight_gradient(x, dy, dw);
    }
    return {dx, dw, dbias, {}, {}};
  }
};

}  // namespace

LinearImpl::LinearImpl(const ModelOptions& model_options, std::int64_t in, std::int64_t out,
                       Activation activation)
    : torch::nn::LinearImpl(in, out),
      own_kernels_(model_options.kernels == KernelChoice::kAuto),
      activation_(activation) {}

torch::Tensor LinearImpl::forward(const torch::Tensor& input) {
  const bool is_plain = own_kernels_ && input.is_cpu() && input.dim() == 2 && input.size(0) > 0 &&
                        weight.scalar_type() == torch::kFloat32;
  const bool serves = at::autocast::is_autocast_enabled(at::kCPU)
                          ? is_plain && kernels::float_linear_supports(shape_of(input, weight))
                          : is_plain && input.scalar_type() == torch::kFloat32;
  const bool cuts = activation_ == Activation::kRelu;
  if (!serves) {
    auto y = torch::nn::LinearImpl::forward(input);
    return cuts ? y.relu_() : y;  // what came before is not needed for its gradient
  }
  const auto x = input.to(torch::kFloat32);
  return observed("rn::linear", x, weight,
                  [&] { return LinearFunction::apply(x, weight, bias, cuts, slot); });
}

}  // namespace rn::model
