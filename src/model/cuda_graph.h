// DeviceGraph on a GPU, by LibTorch's CUDA graphs; builds without CUDA have a stub (no_cuda_graph.cpp).
#pragma once

#include <memory>

#include "model/device_graph.h"

namespace rn::model {

// Of the current device.
std::unique_ptr<DeviceGraph> make_cuda_graph();

}  // namespace rn::model
