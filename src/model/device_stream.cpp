#include "model/device_stream.h"

#include <c10/cuda/CUDAStream.h>

namespace rn::model {

void* current_stream(torch::Device device) {
  return device.is_cuda() ? c10::cuda::getCurrentCUDAStream(device.index()).stream() : nullptr;
}

}  // namespace rn::model
