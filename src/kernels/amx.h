// Intel's Advanced Matrix Extensions: eight tile registers of 16 rows x 64 bytes and a multiplier of bf16
// tiles.
#pragma once

namespace rn::kernels {

// Whether this process may multiply bf16 tiles (and use AVX-512 with bf16, which comes with them): the build,
// the CPU and the operating system allow it. Linux hands out the tiles' state on request only; the first call
// asks, for all threads to come.
bool amx_bf16_available();

}  // namespace rn::kernels
