// The NVIDIA GPUs of this node, as far as choosing one per rank needs to know them.
#pragma once

#include <string>

namespace rn::dist {

bool built_with_cuda();
int cuda_device_count();  // GPUs this process can use; 0 without CUDA support or driver
// Why GPUs that the node shows cannot be used by this build (a driver or a GPU that is too old), in words;
// empty where all is well, there is none, or the build has no CUDA.
std::string cuda_problem();
std::string cuda_device_uuid(
    int index);  // the same for the same device in any process. REQUIRES: a valid index
bool cuda_device_computes_bf16(int index);  // compute capability 8.0 or more. REQUIRES: a valid index
void use_cuda_device(int index);            // makes it the calling thread's; throws EnvironmentError

// GPUs that the node shows (/dev/nvidia0, ...), whether or not this build can use them.
int nvidia_devices_present();

}  // namespace rn::dist
