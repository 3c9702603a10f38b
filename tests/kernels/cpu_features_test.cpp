#include "kernels/cpu_features.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "kernels/norm_kernels.h"

namespace rn::kernels {
namespace {

#if defined(__linux__) && defined(__x86_64__)
// What Linux says of the first CPU; a flag stands between blanks.
bool linux_lists(const std::string& flag) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags")) return (line + " ").find(" " + flag + " ") != std::string::npos;
  }
  return false;
}

// Without these a check that always says no would go unseen: the kernels' tests would skip.
TEST(CpuFeaturesTest, AgreeWithLinux) {
  EXPECT_EQ(avx512_bf16_available(), linux_lists("avx512_bf16"));
  EXPECT_EQ(amx_bf16_available(), linux_lists("amx_bf16") && linux_lists("avx512_bf16"));
}
#endif

TEST(CpuFeaturesTest, TheNormKernelsFollowThem) {
  EXPECT_EQ(avx512_norm_kernels<BFloat16>() != nullptr, avx512_bf16_available());
  EXPECT_EQ(avx512_norm_kernels<float>() != nullptr, avx512_bf16_available());
}

}  // namespace
}  // namespace rn::kernels
