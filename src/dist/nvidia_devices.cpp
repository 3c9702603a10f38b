#include <unistd.h>

#include "core/error.h"
#include "dist/cuda_device.h"

namespace rn::dist {

int nvidia_devices_present() {
  constexpr int kMost = 64;
  int count = 0;
  for (int i = 0; i < kMost; ++i) {
    if (access(cat("/dev/nvidia", i).c_str(), R_OK | W_OK) == 0) ++count;
  }
  return count;
}

}  // namespace rn::dist
