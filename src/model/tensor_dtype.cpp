#include "model/tensor_dtype.h"

#include <array>
#include <utility>

#include "core/error.h"

namespace rn::model {
namespace {

constexpr std::array<std::pair<DType, torch::ScalarType>, 7> kTypes = {{{DType::kU8, torch::kUInt8},
                                                                        {DType::kI32, torch::kInt32},
                                                                        {DType::kI64, torch::kInt64},
                                                                        {DType::kBF16, torch::kBFloat16},
                                                                        {DType::kF16, torch::kFloat16},
                                                                        {DType::kF32, torch::kFloat32},
                                                                        {DType::kF64, torch::kFloat64}}};

}  // namespace

DType dtype_of(const torch::Tensor& tensor) {
  for (const auto& [dtype, scalar_type] : kTypes) {
    if (scalar_type == tensor.scalar_type()) return dtype;
  }
  throw InternalError(cat("no DType for a tensor of ", tensor.scalar_type()));
}

torch::ScalarType scalar_type_of(DType dtype) {
  for (const auto& [ours, scalar_type] : kTypes) {
    if (ours == dtype) return scalar_type;
  }
  throw InternalError(cat("no LibTorch type for ", name_of(dtype)));
}

}  // namespace rn::model
