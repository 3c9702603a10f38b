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

std::string cuda_problem() {
  if (nvidia_devices_present() == 0) return {};
  const auto version = [](int code) { return cat(code / 1000, ".", code % 1000 / 10); };
  int count = 0;
  if (const auto error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    cudaGetLastError();
    if (error == cudaErrorNoDevice) return {};  // hidden on purpose: CUDA_VISIBLE_DEVICES
    int driver = 0;
    cudaDriverGetVersion(&driver);
    return cat("CUDA cannot use the GPUs of this node: ", cudaGetErrorString(error),
               " (this build needs CUDA ", version(CUDART_VERSION), ", the driver offers ", version(driver),
               ")");
  }
  // What the CUDA releases that LibTorch is built with compile for.
  constexpr int kOldestMajor = CUDART_VERSION >= 13000 ? 7 : 5;
  constexpr int kOldestMinor = CUDART_VERSION >= 13000 ? 5 : 0;
  for (int i = 0; i < count; ++i) {
    int major = 0;
    int minor = 0;
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, i);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, i);
    if (major > kOldestMajor || (major == kOldestMajor && minor >= kOldestMinor)) continue;
    return cat("GPU ", i, " has compute capability ", major, ".", minor, ", too old for CUDA ",
               version(CUDART_VERSION), " of this build, which begins at ", kOldestMajor, ".", kOldestMinor);
  }
  return {};
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
