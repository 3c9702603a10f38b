#include "model/dropout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>

#include "core/bfloat16.h"
#include "core/error.h"
#include "core/vector_clones.h"

namespace rn::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Two elements from a word: 0 where its 16 bits lie below the threshold, else 1.
RN_VECTOR_CLONES void compare(const std::uint32_t* __restrict words, std::size_t count,
                              std::uint32_t threshold, std::uint8_t* __restrict keeps) {
  for (std::size_t i = 0; i < count; ++i) {
    keeps[2 * i] = (words[i] & 0xffffU) < threshold ? 0 : 1;
    keeps[2 * i + 1] = (words[i] >> 16) < threshold ? 0 : 1;
  }
}

void draw(CounterRandom& random, double p, std::span<std::uint8_t> keeps) {
  const auto threshold = static_cast<std::uint32_t>(std::llround(p * 65536.0));
  std::array<std::uint32_t, 1024> words;
  for (; keeps.size() >= 2; keeps = keeps.subspan(std::min(2 * words.size(), keeps.size() / 2 * 2))) {
    const std::size_t count = std::min(words.size(), keeps.size() / 2);
    random.fill({words.data(), count});
    compare(words.data(), count, threshold, keeps.data());
  }
  if (!keeps.empty()) keeps[0] = (random.next() & 0xffffU) < threshold ? 0 : 1;
}

// A product, so that what is no number stays none.
RN_VECTOR_CLONES void apply(const float* __restrict x, const std::uint8_t* __restrict keeps, float scale,
                            std::size_t count, float* __restrict y) {
  for (std::size_t i = 0; i < count; ++i) y[i] = x[i] * (static_cast<float>(keeps[i]) * scale);
}
RN_VECTOR_CLONES void apply(const BFloat16* __restrict x, const std::uint8_t* __restrict keeps, float scale,
                            std::size_t count, BFloat16* __restrict y) {
  for (std::size_t i = 0; i < count; ++i) {
    y[i] = to_bfloat16(to_float(x[i]) * (static_cast<float>(keeps[i]) * scale));
  }
}

torch::Tensor masked(const torch::Tensor& x, const torch::Tensor& keeps, float scale) {
  auto y = torch::empty_like(x);
  const auto count = static_cast<std::size_t>(x.numel());
  const auto* const bytes = keeps.const_data_ptr<std::uint8_t>();
  if (x.scalar_type() == torch::kFloat32) {
    apply(x.const_data_ptr<float>(), bytes, scale, count, y.mutable_data_ptr<float>());
  } else {
    apply(static_cast<const BFloat16*>(x.const_data_ptr()), bytes, scale, count,
          static_cast<BFloat16*>(y.mutable_data_ptr()));
  }
  return y;
}

class Dropout : public torch::autograd::Function<Dropout> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, const torch::Tensor& keeps,
                               double scale) {
    context->save_for_backward({keeps});
    context->saved_data["scale"] = scale;
    return masked(x, keeps, static_cast<float>(scale));
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    RN_CHECK(!torch::GradMode::is_enabled(), "dropout is differentiable once only");
    const auto keeps = context->get_saved_variables()[0];
    // In the order of the input, which is that of the mask.
    auto dy = gradients[0];
    if (dy.strides() != keeps.strides()) dy = torch::empty_like(keeps, dy.scalar_type()).copy_(dy);
    return {masked(dy, keeps, static_cast<float>(context->saved_data["scale"].toDouble())), {}, {}};
  }
};

}  // namespace

torch::Tensor dropout(const torch::Tensor& input, double p, CounterRandom random) {
  const auto keeps = torch::empty_like(input, torch::dtype(torch::kUInt8).device(torch::kCPU));
  draw(random, p, {keeps.mutable_data_ptr<std::uint8_t>(), static_cast<std::size_t>(keeps.numel())});
  const double scale = 1.0 / (1.0 - p);
  const bool is_plain = input.is_cpu() && input.is_non_overlapping_and_dense() &&
                        (input.scalar_type() == torch::kFloat32 || input.scalar_type() == torch::kBFloat16);
  if (is_plain) return Dropout::apply(input, keeps, scale);
  return input * (keeps.to(input.options()) * scale);
}

}  // namespace rn::model
