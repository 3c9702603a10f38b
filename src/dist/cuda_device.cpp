#include "dist/cuda_device.h"

#include <cuda_runtime_api.h>

#include "core/error.h"

namespace rn::dist {

bool built_with_cuda() { return true; }

int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();  // no driver or no GPU is an answer, not an error to be found later
  return 0;
}

std::string cuda_device_uuid(int index) {
  cudaDeviceProp properties{};
  if (const auto error = cudaGetDeviceProperties(&properties, index); error != cudaSuccess) {
    throw EnvironmentError(cat("cannot read the properties of GPU ", index, ": ", cudaGetErrorString(error)));
  }
  return std::string(properties.uuid.bytes, sizeof(properties.uuid.bytes));
}

bool cuda_device_computes_bf16(int index) {
  int major = 0;
  if (const auto error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
      error != cudaSuccess) {
    throw EnvironmentError(
        cat("cannot read the compute capability of GPU ", index, ": ", cudaGetErrorString(error)));
  }
  return major >= 8;
}

void use_cuda_device(int index) {
  if (const auto error = cudaSetDevice(index); error != cudaSuccess) {
    throw EnvironmentError(cat("cannot use GPU ", index, ": ", cudaGetErrorString(error)));
  }
}

}  // namespace rn::dist
