#include "model/network.h"

#include <cmath>

#include "core/random.h"

namespace rn::model {
namespace {

// Fills mask with 0 or `kept`. 16 bits decide an element, so that a Philox block serves eight: what p is
// beyond that changes one element in 65536.
void draw_mask(CounterRandom& random, double p, float kept, float* mask, std::int64_t size) {
  const auto threshold = static_cast<std::uint32_t>(std::llround(p * 65536.0));
  std::int64_t i = 0;
  for (; i + 2 <= size; i += 2) {
    const std::uint32_t bits = random.next();
    mask[i] = (bits & 0xffffU) < threshold ? 0.0F : kept;
    mask[i + 1] = (bits >> 16) < threshold ? 0.0F : kept;
  }
  if (i < size) mask[i] = (random.next() & 0xffffU) < threshold ? 0.0F : kept;
}

}  // namespace

torch::Tensor Network::dropout(const torch::Tensor& input, double p) {
  if (!is_training() || p == 0) return input;
  CounterRandom random(dropout_key_, Purpose::kDropout, dropout_calls_++, 0);
  // In the input's own memory order, so that the product is one pass.
  auto mask = torch::empty_like(input, torch::dtype(torch::kFloat32).device(torch::kCPU));
  draw_mask(random, p, static_cast<float>(1.0 / (1.0 - p)), mask.data_ptr<float>(), mask.numel());
  return input * mask.to(input.options());
}

}  // namespace rn::model
