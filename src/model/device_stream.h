// LibTorch's stream on a GPU, for whoever orders its work after a collective. Builds without CUDA have a stub
// (no_device_stream.cpp).
#pragma once

#include <torch/torch.h>

namespace rn::model {

// The cudaStream_t on which LibTorch queues the calling thread's work on `device`: what Work::order_after
// takes. Null on the CPU, and on a GPU while nobody chose another stream than the default one.
void* current_stream(torch::Device device);

// From now on the calling thread's work on `device` is queued on a stream of LibTorch's pool, which, unlike
// the default one, can be recorded. Before the first tensor there: nodes of autograd keep their stream.
// Nothing on the CPU.
void use_own_stream(torch::Device device);

}  // namespace rn::model
