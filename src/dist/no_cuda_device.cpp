// Stands in for cuda_device.cpp in builds without CUDA.
#include "core/error.h"
#include "dist/cuda_device.h"

namespace rn::dist {

bool built_with_cuda() { return false; }
int cuda_device_count() { return 0; }
std::string cuda_problem() { return {}; }
std::string cuda_device_uuid(int index) {
  throw InternalError(cat("no CUDA device ", index, " in this build"));
}
bool cuda_device_computes_bf16(int index) {
  throw InternalError(cat("no CUDA device ", index, " in this build"));
}
void use_cuda_device(int index) { throw EnvironmentError(cat("no CUDA device ", index, " in this build")); }

}  // namespace rn::dist
