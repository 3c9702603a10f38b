// Own functions, shown to LibTorch's observers (profilers, model/summary.h) as it shows its operators.
#pragma once

#include <ATen/record_function.h>
#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace rn::model {

// compute(), under `name`, as of `input` and the parameter `weight`. `sizes`: of the output by which the work
// is counted, where it is not what is returned.
template <class Compute>
torch::Tensor observed(const char* name, const torch::Tensor& input, const torch::Tensor& weight,
                       const Compute& compute, const std::vector<std::int64_t>& sizes = {}) {
  at::RecordFunction record(at::RecordScope::FUNCTION);
  if (!record.isActive()) return compute();
  const std::vector<c10::IValue> inputs = {input, weight};
  record.before(name, &inputs);
  auto output = compute();
  record.setOutputs(std::vector<c10::IValue>{sizes.empty() ? output : output.new_empty({1}).expand(sizes)});
  return output;
}

}  // namespace rn::model
