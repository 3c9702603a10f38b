// Stands in for cuda_graph.cpp in builds without CUDA.
#include "core/error.h"
#include "model/cuda_graph.h"

namespace rn::model {

std::unique_ptr<DeviceGraph> make_cuda_graph() {
  throw InternalError("this build has no CUDA, so no graphs");
}

}  // namespace rn::model
