#include "model/relu_pool.h"

#include "core/error.h"
#include "kernels/cpu_features.h"
#include "kernels/relu_pool.h"
#include "model/parallel.h"

namespace rn::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

const BFloat16* values(const torch::Tensor& x) {
  return reinterpret_cast<const BFloat16*>(x.const_data_ptr<at::BFloat16>());
}
BFloat16* mutable_values(torch::Tensor& x) {
  return reinterpret_cast<BFloat16*>(x.mutable_data_ptr<at::BFloat16>());
}

class Relu : public torch::autograd::Function<Relu> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x) {
    auto y = torch::empty_like(x);
    const auto* const from = values(x);
    auto* const to = mutable_values(y);
    at::parallel_for(0, x.numel(), at::internal::GRAIN_SIZE, [&](std::int64_t begin, std::int64_t end) {
      kernels::relu(from + begin, end - begin, to + begin);
    });
    context->save_for_backward({y});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "relu_pool is differentiable once only");
    const auto y = context->get_saved_variables()[0];
    const auto dy = gradients[0].contiguous(kChannelsLast);
    auto dx = torch::empty_like(y);
    const auto *const from = values(dy), *const result = values(y);
    auto* const to = mutable_values(dx);
    at::parallel_for(0, y.numel(), at::internal::GRAIN_SIZE, [&](std::int64_t begin, std::int64_t end) {
      kernels::relu_gradient(from + begin, result + begin, end - begin, to + begin);
    });
    return {dx};
  }
};

class ReluPool : public torch::autograd::Function<ReluPool> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x) {
    auto [y, taken] = pool_after_convolution(x);
    context->save_for_backward({taken});
    context->saved_data["height"] = x.size(2);
    context->saved_data["width"] = x.size(3);
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "relu_pool is differentiable once only");
    return {pool_gradient(gradients[0].contiguous(kChannelsLast), context->get_saved_variables()[0],
                          context->saved_data["height"].toInt(), context->saved_data["width"].toInt())};
  }
};

}  // namespace

Pooled pool_after_convolution(const torch::Tensor& x) {
  const kernels::PoolShape shape{x.size(0), x.size(2), x.size(3), x.size(1)};
  auto y = torch::empty({shape.images, shape.channels, shape.height / 2, shape.width / 2}, x.options(),
                        kChannelsLast);
  auto taken = torch::empty_like(y, torch::kUInt8);
  const auto* const from = values(x);
  auto* const to = mutable_values(y);
  auto* const places = taken.mutable_data_ptr<std::uint8_t>();
  at::parallel_for(0, shape.images, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels::relu_pool(shape, from, begin, end, to, places);
  });
  return {y, taken};
}

torch::Tensor pool_gradient(const torch::Tensor& dy, const torch::Tensor& taken, std::int64_t height,
                            std::int64_t width) {
  const kernels::PoolShape shape{taken.size(0), height, width, taken.size(1)};
  auto dx = torch::empty({shape.images, shape.channels, height, width}, dy.options(), kChannelsLast);
  const auto* const from = values(dy);
  const auto* const places = taken.const_data_ptr<std::uint8_t>();
  auto* const to = mutable_values(dx);
  at::parallel_for(0, shape.images, 1, [&](std::int64_t begin, std::int64_t end) {
    kernels::relu_pool_gradient(shape, from, places, begin, end, to);
  });
  return dx;
}

bool can_relu_pool(const torch::Tensor& x) {
  return x.is_cpu() && x.dim() == 4 && x.numel() > 0 && x.scalar_type() == torch::kBFloat16 &&
         x.is_contiguous(kChannelsLast) && kernels::avx512_available();
}

torch::Tensor relu_pool(const torch::Tensor& x, bool pools) {
  RN_CHECK(can_relu_pool(x), "input of shape ", x.sizes());
  return pools ? ReluPool::apply(x) : Relu::apply(x);
}

}  // namespace rn::model
