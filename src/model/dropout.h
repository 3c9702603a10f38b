// Dropout whose mask is drawn by counter, so that it is the same at any rank count and after a resume.
#pragma once

#include <torch/torch.h>

#include "core/random.h"

namespace rn::model {

// input * mask, the mask 0 with probability p, else 1 / (1 - p). Elements draw in the input's own memory
// order, 16 bits each, so that a Philox block serves eight: what p is beyond that changes one element in
// 65536. On a CPU, float32 and bf16 take one pass each way, with the mask as bytes; the product is rounded
// once.
torch::Tensor dropout(const torch::Tensor& input, double p, CounterRandom random);

}  // namespace rn::model
