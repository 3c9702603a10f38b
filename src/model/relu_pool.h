// Relu after a convolution in bf16 on a CPU, alone or with a 2x2 maximum, as one pass each way:
// kernels/relu_pool.h.
#pragma once

#include <torch/torch.h>

namespace rn::model {

// Whether relu_pool() computes it: bf16 in channels-last on a CPU that has AVX-512.
bool can_relu_pool(const torch::Tensor& x);

// Its parts without autograd, for who has both sides of the maximum: y = relu(max_pool2d(x, 2)) and `taken`,
// where each value comes from, as in kernels/relu_pool.h; and the gradient by x, of `height` x `width`, of dy
// in channels-last. REQUIRES: can_relu_pool(x).
struct Pooled {
  torch::Tensor y, taken;
};
Pooled pool_after_convolution(const torch::Tensor& x);
torch::Tensor pool_gradient(const torch::Tensor& dy, const torch::Tensor& taken, std::int64_t height,
                            std::int64_t width);

// relu(x), with `pools` relu(max_pool2d(x, 2)), differentiable once. x [N, C, H, W]. REQUIRES:
// can_relu_pool(x).
torch::Tensor relu_pool(const torch::Tensor& x, bool pools);

}  // namespace rn::model
