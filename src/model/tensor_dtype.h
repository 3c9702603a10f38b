// LibTorch's element types as the torch-free DType of storages, collectives and files.
#pragma once

#include <torch/torch.h>

#include "core/dtype.h"

namespace rn::model {

// Throws InternalError for a type that DType does not have.
DType dtype_of(const torch::Tensor& tensor);
torch::ScalarType scalar_type_of(DType dtype);

}  // namespace rn::model
