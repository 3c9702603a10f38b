#include "model/network.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "core/random.h"
#include "core/vector_clones.h"

namespace rn::model {
namespace {

// Two elements from a word: 0 where its 16 bits lie below the threshold, else `kept`.
RN_VECTOR_CLONES void compare(const std::uint32_t* __restrict words, std::size_t count,
                              std::uint32_t threshold, float kept, float* __restrict mask) {
  for (std::size_t i = 0; i < count; ++i) {
    mask[2 * i] = (words[i] & 0xffffU) < threshold ? 0.0F : kept;
    mask[2 * i + 1] = (words[i] >> 16) < threshold ? 0.0F : kept;
  }
}

// Fills mask with 0 or `kept`. 16 bits decide an element, so that a Philox block serves eight: what p is
// beyond that changes one element in 65536.
void draw_mask(CounterRandom& random, double p, float kept, std::span<float> mask) {
  const auto threshold = static_cast<std::uint32_t>(std::llround(p * 65536.0));
  std::array<std::uint32_t, 1024> words;
  for (; mask.size() >= 2; mask = mask.subspan(std::min(2 * words.size(), mask.size() / 2 * 2))) {
    const std::size_t count = std::min(words.size(), mask.size() / 2);
    random.fill({words.data(), count});
    compare(words.data(), count, threshold, kept, mask.data());
  }
  if (!mask.empty()) mask[0] = (random.next() & 0xffffU) < threshold ? 0.0F : kept;
}

}  // namespace

torch::Tensor Network::dropout(const torch::Tensor& input, double p) {
  if (!is_training() || p == 0) return input;
  CounterRandom random(dropout_key_, Purpose::kDropout, dropout_calls_++, 0);
  // In the input's own memory order, so that the product is one pass.
  auto mask = torch::empty_like(input, torch::dtype(torch::kFloat32).device(torch::kCPU));
  draw_mask(random, p, static_cast<float>(1.0 / (1.0 - p)),
            {mask.data_ptr<float>(), static_cast<std::size_t>(mask.numel())});
  return input * mask.to(input.options());
}

}  // namespace rn::model
