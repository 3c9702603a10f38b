#include "model/fused_batch_norm.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <vector>

#include "core/error.h"
#include "kernels/norm_kernels.h"
#include "model/parallel.h"

namespace rn::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

// The kernels' view of a dtype.
template <class T>
const kernels::NormKernels<T>& kernels_for(bool plain) {
  if constexpr (!std::is_same_v<T, double>) {
    if (!plain) return *kernels::avx512_norm_kernels<T>();
  }
  return kernels::plain_norm_kernels<T>();
}

// Calls body(T{}) with the kernels' type of `dtype`.
template <class Body>
auto with_element(torch::ScalarType dtype, const Body& body) {
  switch (dtype) {
    case torch::kBFloat16:
      return body(BFloat16{});
    case torch::kFloat32:
      return body(float{});
    case torch::kFloat64:
      return body(double{});
    default:
      throw InternalError(cat("fused_batch_norm: no kernels for ", dtype));
  }
}

template <class T>
T* data_of(const torch::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.data_ptr()) : nullptr;
}

// An activation as rows of channels, in blocks that threads share.
struct Rows {
  explicit Rows(const torch::Tensor& x)
      : channels(x.size(1)),
        count(x.numel() / x.size(1)),
        blocks((count - 1) / kernels::kNormBlockRows + 1) {}

  std::int64_t size_of(std::int64_t block) const {
    return std::min(kernels::kNormBlockRows, count - block * kernels::kNormBlockRows);
  }

  // body(block, first row, rows) on several threads.
  template <class Body>
  void for_blocks(const Body& body) const {
    at::parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const std::int64_t first = block * kernels::kNormBlockRows;
        body(block, first, size_of(block));
      }
    });
  }

  const std::int64_t channels, count, blocks;
};

// Two numbers per channel and block.
template <class A>
class BlockValues {
 public:
  explicit BlockValues(const Rows& rows)
      : channels_(rows.channels), values_(static_cast<std::size_t>(2 * rows.blocks * rows.channels)) {}
  A* first(std::int64_t block) { return values_.data() + 2 * block * channels_; }
  A* second(std::int64_t block) { return first(block) + channels_; }

  struct Totals {
    std::vector<double> first, second;
  };
  // Their sums, in the order of the blocks.
  Totals totals() const {
    const auto channels = static_cast<std::size_t>(channels_);
    Totals totals{std::vector<double>(channels), std::vector<double>(channels)};
    for (std::size_t at = 0; at < values_.size(); at += 2 * channels) {
      for (std::size_t c = 0; c < channels; ++c) {
        totals.first[c] += values_[at + c];
        totals.second[c] += values_[at + channels + c];
      }
    }
    return totals;
  }

 private:
  const std::int64_t channels_;
  std::vector<A> values_;
};

// What the passes need per channel, derived the same way in forward and backward: a relu that is undone from
// the input must see the very numbers that the forward pass saw.
template <class A>
struct Affine {
  Affine(const torch::Tensor& weight, const torch::Tensor& bias, const torch::Tensor& mean,
         const torch::Tensor& inverse_std)
      : scale(static_cast<std::size_t>(weight.numel())), offset(scale.size()) {
    const A *w = data_of<A>(weight), *b = data_of<A>(bias), *m = data_of<A>(mean),
            *r = data_of<A>(inverse_std);
    for (std::size_t c = 0; c < scale.size(); ++c) {
      scale[c] = w[c] * r[c];
      offset[c] = b[c] - m[c] * scale[c];
    }
  }
  std::vector<A> scale, offset;
};

// Of x [N, C, H, W]: fills mean and unbiased variance, returns 1 / sqrt(biased variance + epsilon).
template <class T>
torch::Tensor measure(const torch::Tensor& x, double epsilon, const kernels::NormKernels<T>& kernel,
                      const torch::Tensor& mean, const torch::Tensor& variance) {
  using A = kernels::NormAccumulator<T>;
  const Rows rows(x);
  const T* const values = data_of<T>(x);
  BlockValues<A> moments(rows);
  rows.for_blocks([&](std::int64_t block, std::int64_t first, std::int64_t count) {
    kernel.moments(values + first * rows.channels, count, rows.channels, moments.first(block),
                   moments.second(block));
  });
  // The blocks' moments are joined as in Chan et al. 1983: nothing cancels, whatever the blocks' means are.
  const auto channels = static_cast<std::size_t>(rows.channels);
  std::vector<double> joined_mean(channels), distances(channels);
  double seen = 0;
  for (std::int64_t block = 0; block < rows.blocks; ++block) {
    const auto count = static_cast<double>(rows.size_of(block));
    for (std::size_t c = 0; c < channels; ++c) {
      const double step = moments.first(block)[c] - joined_mean[c];
      joined_mean[c] += step * (count / (seen + count));
      const double within = moments.second(block)[c];
      distances[c] += (within < 0 ? 0.0 : within) + step * step * (seen * count / (seen + count));
    }
    seen += count;
  }
  auto inverse_std = torch::empty_like(mean);
  for (std::size_t c = 0; c < channels; ++c) {
    data_of<A>(mean)[c] = static_cast<A>(joined_mean[c]);
    data_of<A>(variance)[c] = static_cast<A>(distances[c] / std::max(seen - 1, 1.0));
    // Infinite distances come from an infinite value: no output may look sound.
    data_of<A>(inverse_std)[c] = static_cast<A>(
        std::isfinite(distances[c]) ? 1 / std::sqrt(distances[c] / seen + epsilon) : std::nan(""));
  }
  return inverse_std;
}

template <class T>
torch::Tensor run_forward(const torch::Tensor& x, const torch::Tensor& residual, bool relu,
                          const Affine<kernels::NormAccumulator<T>>& affine,
                          const kernels::NormKernels<T>& kernel) {
  auto y = torch::empty_like(x);
  const Rows rows(x);
  const T *const in = data_of<T>(x), *const other = data_of<T>(residual);
  T* const out = data_of<T>(y);
  rows.for_blocks([&](std::int64_t, std::int64_t first, std::int64_t count) {
    const std::int64_t at = first * rows.channels;
    kernel.forward(in + at, other == nullptr ? nullptr : other + at, count, rows.channels,
                   affine.scale.data(), affine.offset.data(), relu, out + at);
  });
  return y;
}

struct Gradients {
  torch::Tensor input, residual, weight, bias;
};

// y is undefined unless the relu is to be undone from it.
template <class T>
Gradients run_backward(const torch::Tensor& dy, const torch::Tensor& x, const torch::Tensor& y,
                       const torch::Tensor& weight, const torch::Tensor& bias, const torch::Tensor& mean,
                       const torch::Tensor& inverse_std, bool relu, bool residual,
                       const kernels::NormKernels<T>& kernel) {
  using A = kernels::NormAccumulator<T>;
  using Mask = typename kernels::NormKernels<T>::Mask;
  const Rows rows(x);
  const Affine<A> affine(weight, bias, mean, inverse_std);
  const Mask mask = !relu ? Mask::kNone : residual ? Mask::kFromOutput : Mask::kFromInput;
  Gradients gradients{torch::empty_like(x), {}, torch::empty_like(weight), torch::empty_like(weight)};
  // Without a relu the residual's gradient is dy itself.
  if (residual) gradients.residual = relu ? torch::empty_like(x) : dy;

  BlockValues<A> sums(rows);
  rows.for_blocks([&](std::int64_t block, std::int64_t first, std::int64_t count) {
    const std::int64_t at = first * rows.channels;
    T* const dresidual = residual && relu ? data_of<T>(gradients.residual) + at : nullptr;
    kernel.backward_sums({data_of<T>(dy) + at, data_of<T>(x) + at, y.defined() ? data_of<T>(y) + at : nullptr,
                          data_of<A>(mean), affine.scale.data(), affine.offset.data(), mask, dresidual},
                         count, rows.channels, sums.first(block), sums.second(block));
  });
  const auto totals = sums.totals();
  std::vector<A> slope(affine.scale.size()), constant(affine.scale.size());
  for (std::size_t c = 0; c < slope.size(); ++c) {
    const double r = data_of<A>(inverse_std)[c], n = static_cast<double>(rows.count);
    data_of<A>(gradients.weight)[c] = static_cast<A>(totals.second[c] * r);
    data_of<A>(gradients.bias)[c] = static_cast<A>(totals.first[c]);
    slope[c] = static_cast<A>(-affine.scale[c] * r * r * totals.second[c] / n);
    constant[c] = static_cast<A>(-affine.scale[c] * totals.first[c] / n);
  }
  const T* const dy_masked = data_of<T>(residual ? gradients.residual : dy);
  rows.for_blocks([&](std::int64_t, std::int64_t first, std::int64_t count) {
    const std::int64_t at = first * rows.channels;
    kernel.backward_input(
        {dy_masked + at, data_of<T>(x) + at, data_of<A>(mean), affine.scale.data(), affine.offset.data(),
         slope.data(), constant.data(), residual ? Mask::kNone : mask, data_of<T>(gradients.input) + at},
        count, rows.channels);
  });
  return gradients;
}

class FusedBatchNorm : public torch::autograd::Function<FusedBatchNorm> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& input,
                               const std::optional<torch::Tensor>& maybe_residual,
                               const torch::Tensor& weight, const torch::Tensor& bias, bool relu,
                               double epsilon, torch::Tensor mean, torch::Tensor variance, bool plain) {
    const auto residual = maybe_residual.value_or(torch::Tensor());
    return with_element(input.scalar_type(), [&]<class T>(T) {
      const auto& kernel = kernels_for<T>(plain);
      // The caller's mean changes with the next forward pass: backward needs its own.
      const auto inverse_std = measure<T>(input, epsilon, kernel, mean, variance);
      const auto saved_mean = mean.clone();
      const Affine<kernels::NormAccumulator<T>> affine(weight, bias, saved_mean, inverse_std);
      auto output = run_forward<T>(input, residual, relu, affine, kernel);
      const bool undo_from_output = relu && residual.defined();
      context->save_for_backward(
          {input, undo_from_output ? output : torch::Tensor(), weight, bias, saved_mean, inverse_std});
      context->saved_data["relu"] = relu;
      context->saved_data["residual"] = residual.defined();
      context->saved_data["plain"] = plain;
      return output;
    });
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "fused_batch_norm is differentiable once only");
    const auto saved = context->get_saved_variables();
    const auto& input = saved[0];
    const auto dy = gradients[0].to(input.scalar_type()).contiguous(kChannelsLast);
    const bool plain = context->saved_data["plain"].toBool();
    auto result = with_element(input.scalar_type(), [&]<class T>(T) {
      return run_backward<T>(dy, input, saved[1], saved[2], saved[3], saved[4], saved[5],
                             context->saved_data["relu"].toBool(), context->saved_data["residual"].toBool(),
                             kernels_for<T>(plain));
    });
    return {result.input, result.residual, result.weight, result.bias, {}, {}, {}, {}, {}};
  }
};

void check(const torch::Tensor& input, std::initializer_list<torch::Tensor> per_channel, bool plain) {
  RN_CHECK(input.is_cpu() && input.dim() == 4 && input.numel() > 0 && input.is_contiguous(kChannelsLast),
           "input of shape ", input.sizes());
  const auto type = input.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  for (const auto& values : per_channel) {
    RN_CHECK(values.is_cpu() && values.scalar_type() == type && values.is_contiguous() &&
                 values.numel() == input.size(1),
             values.sizes(), " of type ", values.scalar_type(), " for an input of shape ", input.sizes(),
             " and type ", input.scalar_type());
  }
  RN_CHECK(plain || kernels::avx512_norm_kernels<float>() != nullptr, "this CPU has the plain kernels only");
}

// No undefined tensor where there is none: autograd asks those for their device.
std::optional<torch::Tensor> residual_like(const torch::Tensor& input, const NormTail& tail) {
  if (!tail.residual.defined()) return std::nullopt;
  RN_CHECK(tail.residual.sizes() == input.sizes(), "residual of shape ", tail.residual.sizes(), " for ",
           input.sizes());
  return tail.residual.to(input.scalar_type()).contiguous(kChannelsLast);
}

}  // namespace

torch::Tensor apply_tail(torch::Tensor normed, const NormTail& tail) {
  if (tail.residual.defined()) normed.add_(tail.residual);
  if (tail.relu) normed.relu_();
  return normed;
}

bool can_fuse_batch_norm(const torch::Tensor& input, const torch::Tensor& weight) {
  if (!input.is_cpu() || input.numel() == 0 || input.dim() != 4 || !input.is_contiguous(kChannelsLast) ||
      weight.scalar_type() != torch::kFloat32) {
    return false;
  }
  if (input.scalar_type() == torch::kBFloat16) {
    return kernels::avx512_norm_kernels<BFloat16>() != nullptr;
  }
  return input.scalar_type() == torch::kFloat32 && kernels::avx512_norm_kernels<float>() != nullptr;
}

torch::Tensor fused_batch_norm(const torch::Tensor& input, const torch::Tensor& weight,
                               const torch::Tensor& bias, double epsilon, const NormTail& tail,
                               const torch::Tensor& mean, const torch::Tensor& variance, bool plain) {
  check(input, {weight, bias, mean, variance}, plain);
  return FusedBatchNorm::apply(input, residual_like(input, tail), weight, bias, tail.relu, epsilon, mean,
                               variance, plain);
}

torch::Tensor fused_batch_norm_inference(const torch::Tensor& input, const torch::Tensor& weight,
                                         const torch::Tensor& bias, double epsilon, const NormTail& tail,
                                         const torch::Tensor& mean, const torch::Tensor& variance,
                                         bool plain) {
  check(input, {weight, bias, mean, variance}, plain);
  RN_CHECK(!torch::GradMode::is_enabled(), "fused_batch_norm_inference has no gradient");
  const auto residual = residual_like(input, tail).value_or(torch::Tensor());
  const auto inverse_std = (variance + epsilon).rsqrt();
  return with_element(input.scalar_type(), [&]<class T>(T) {
    const Affine<kernels::NormAccumulator<T>> affine(weight, bias, mean, inverse_std);
    return run_forward<T>(input, residual, tail.relu, affine, kernels_for<T>(plain));
  });
}

}  // namespace rn::model
