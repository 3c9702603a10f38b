#include "federated/update.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/vector_clones.h"

namespace rn::federated {
namespace {

constexpr std::int64_t kBlock = 4096;  // elements that stay in the first-level cache between two loops
constexpr std::int64_t kLanes = 64;    // sums side by side: four of the widest registers

// Of one block: in float32, whose few additions per lane cost less than its last digits.
RN_VECTOR_CLONES double squares(const float* values, std::int64_t size) {
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += values[i + lane] * values[i + lane];
  }
  for (std::int64_t lane = 0; i < size; ++i, ++lane) lanes[lane] += values[i] * values[i];
  double sum = 0;
  for (const float lane : lanes) sum += static_cast<double>(lane);
  return sum;
}

RN_VECTOR_CLONES void subtract(float* __restrict values, const float* __restrict start, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) values[i] -= start[i];
}

template <typename OfBlock>
double norm_by_blocks(std::int64_t size, const OfBlock& squares_of) {
  double sum = 0;
  for (std::int64_t begin = 0; begin < size; begin += kBlock) {
    sum += squares_of(begin, std::min(kBlock, size - begin));
  }
  return std::sqrt(sum);
}

bool is_plain(const torch::Tensor& values) {
  return values.is_cpu() && values.scalar_type() == torch::kFloat32 && values.is_contiguous();
}

}  // namespace

double norm_of(const torch::Tensor& values) {
  if (!is_plain(values)) {
    return at::linalg_vector_norm(values, 2, c10::nullopt, false, torch::kFloat64).item<double>();
  }
  const float* const from = values.const_data_ptr<float>();
  return norm_by_blocks(values.numel(),
                        [&](std::int64_t begin, std::int64_t size) { return squares(from + begin, size); });
}

double subtract(torch::Tensor& weights, const torch::Tensor& start) {
  RN_CHECK(weights.numel() == start.numel() && weights.scalar_type() == start.scalar_type());
  const torch::NoGradGuard no_grad;
  if (!is_plain(weights) || !is_plain(start)) return norm_of(weights.sub_(start));
  float* const to = weights.data_ptr<float>();
  const float* const from = start.const_data_ptr<float>();
  return norm_by_blocks(weights.numel(), [&](std::int64_t begin, std::int64_t size) {
    subtract(to + begin, from + begin, size);
    return squares(to + begin, size);
  });
}

}  // namespace rn::federated
