#include "kernels/cpu_features.h"

#if defined(RN_HAVE_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace rn::kernels {
namespace {

#if defined(RN_HAVE_AMX)
bool ask_for_amx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;  // Intel SDM, CPUID leaf 7
  constexpr long kRequestPermission = 0x1023, kTileData = 18;   // Linux's Documentation/arch/x86/xstate.rst
  return (edx & kAmxBf16) != 0 && (edx & kAmxTile) != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#else
bool ask_for_amx() { return false; }
#endif

}  // namespace

bool avx512_available() {
#if defined(RN_HAVE_AVX512_BF16)  // the compiler's, which knows the older instructions too
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

bool avx512_bf16_available() {
#if defined(RN_HAVE_AVX512_BF16)
  return avx512_available() && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool amx_bf16_available() {
  static const bool available = avx512_bf16_available() && ask_for_amx();
  return available;
}

}  // namespace rn::kernels
