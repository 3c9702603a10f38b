// The stub of device_stream.cpp for builds without CUDA.
#include "model/device_stream.h"

namespace rn::model {

void* current_stream(torch::Device) { return nullptr; }

void use_own_stream(torch::Device) {}

}  // namespace rn::model
