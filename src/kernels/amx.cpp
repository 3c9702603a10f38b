#include "kernels/amx.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace rn::kernels {
namespace {

#if defined(RN_HAVE_AMX)
bool cpu_has_it() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;  // Intel SDM, CPUID leaf 7
  return (edx & kAmxBf16) != 0 && (edx & kAmxTile) != 0 && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16");
}

// Linux's Documentation/arch/x86/xstate.rst.
bool kernel_grants_it() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool ask() { return cpu_has_it() && kernel_grants_it(); }
#else
bool ask() { return false; }
#endif

}  // namespace

bool amx_bf16_available() {
  static const bool available = ask();
  return available;
}

}  // namespace rn::kernels
