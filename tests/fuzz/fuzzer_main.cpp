// One libFuzzer program per target: RN_FUZZ_TARGET names the function.
#include <cstdint>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  rn::fuzz::RN_FUZZ_TARGET({reinterpret_cast<const std::byte*>(bytes), size});
  return 0;
}
