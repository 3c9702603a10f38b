#include "model/device_stream.h"

#include <c10/cuda/CUDAStream.h>

namespace rn::model {

void* current_stream(torch::Device device) {
  return device.is_cuda() ? c10::cuda::getCurrentCUDAStream(device.index()).stream() : nullptr;
}

void use_own_stream(torch::Device device) {
  if (!device.is_cuda()) return;
  c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index()));
}

}  // namespace rn::model
