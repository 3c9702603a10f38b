#include "federated/exact_sum.h"

#include "core/error.h"
#include "core/vector_clones.h"

namespace rn::federated {
namespace {

// float64 numbers from 4096 to 8192 are multiples of 2^-40: adding and taking off this one rounds what is
// below 2048 to such a multiple, to nearest even.
constexpr double kRounder = 1.5 * 4096;
static_assert(kExactGrid == 0x1p-52 * 4096);

RN_VECTOR_CLONES void add(const float* __restrict values, double weight, double* __restrict sum,
                          std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    const double term = weight * static_cast<double>(values[i]);
    sum[i] += (term + kRounder) - kRounder;
  }
}
RN_VECTOR_CLONES void add(const double* __restrict values, double weight, double* __restrict sum,
                          std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    const double term = weight * values[i];
    sum[i] += (term + kRounder) - kRounder;
  }
}

template <typename T>
void add_spans(std::span<const T> values, double weight, std::span<double> sum) {
  RN_CHECK(values.size() == sum.size(), values.size(), " values for ", sum.size());
  add(values.data(), weight, sum.data(), values.size());
}

template <typename T>
void add_tensors(const torch::Tensor& values, double weight, torch::Tensor& sum) {
  const auto size = static_cast<std::size_t>(values.numel());
  add_spans(std::span<const T>(values.const_data_ptr<T>(), size), weight,
            std::span<double>(sum.data_ptr<double>(), static_cast<std::size_t>(sum.numel())));
}

}  // namespace

void add_exactly(std::span<const float> values, double weight, std::span<double> sum) {
  add_spans(values, weight, sum);
}
void add_exactly(std::span<const double> values, double weight, std::span<double> sum) {
  add_spans(values, weight, sum);
}

void add_exactly(const torch::Tensor& values, double weight, torch::Tensor& sum) {
  RN_CHECK(sum.scalar_type() == torch::kFloat64 && values.is_contiguous() && sum.is_contiguous());
  const torch::NoGradGuard no_grad;
  if (!values.device().is_cpu()) {
    sum.add_(values.to(torch::kFloat64).mul_(weight).add_(kRounder).sub_(kRounder));
  } else if (values.scalar_type() == torch::kFloat32) {
    add_tensors<float>(values, weight, sum);
  } else {
    add_tensors<double>(values, weight, sum);
  }
}

}  // namespace rn::federated
