// A linear layer for few rows and large weights, as small networks have them.
#pragma once

#include <torch/torch.h>

#include "model/gradient_slot.h"
#include "model/options.h"

namespace rn::model {

// x weight^T + bias, with kRelu followed by a relu; parameters `weight` [out, in] and `bias` [out] as in
// torch.nn.Linear. In float32 on a CPU a few rows go by kernels/float_linear.h, more of them by MKL, which is
// then given the weight first; the weight's gradient is computed into its slot. Under autocast a few rows
// stay in float32 too: to round the weight and its gradient to bf16 and back would take longer than the
// products.
class LinearImpl : public torch::nn::LinearImpl, public SlottedLayer {
 public:
  enum class Activation { kNone, kRelu };
  LinearImpl(const ModelOptions& model_options, std::int64_t in, std::int64_t out,
             Activation activation = Activation::kNone);
  torch::Tensor forward(const torch::Tensor& input);  // [N, in] -> [N, out]

 private:
  const bool own_kernels_;
  const Activation activation_;
};
TORCH_MODULE(Linear);

}  // namespace rn::model
