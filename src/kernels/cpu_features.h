// What this CPU can do, asked once at run time.
#pragma once

namespace rn::kernels {

// AVX-512 (F, BW, VL, DQ), and what is needed to use it in this build.
bool avx512_available();

// The same with its bf16 instructions.
bool avx512_bf16_available();

// Products of bf16 tiles by Intel's Advanced Matrix Extensions, and the above, which comes with them. Linux
// hands out the tiles' state on request only; the first call asks, for all threads to come.
bool amx_bf16_available();

}  // namespace rn::kernels
