// Sums of several arrays in a fixed order, as the CPU collectives need them. Instruction set chosen at run
// time.
//
// The order of the additions is that of `sources`, and every element is computed by itself, so the bits do
// not depend on how a range is divided among ranks. Thread-safe: no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/dtype.h"

namespace rn::dist {

// Where bf16 rounding happens in sum_arrays; both only for float32.
struct Rounding {
  bool sources = false;  // each source is rounded to bf16 before it is added
  bool result = false;   // the sum is rounded to bf16, and stored as float32
};

// Every destination := sources[0] + sources[1] + ... over `count` elements of `dtype` (f32, f64, i32 or i64;
// integers wrap). A destination may be one of the sources (the same address); other overlap is not allowed.
// REQUIRES: at least one source; pointers aligned to the dtype.
void sum_arrays(std::span<const std::byte* const> sources, std::span<std::byte* const> destinations,
                std::size_t count, DType dtype, Rounding rounding);

// float32 <-> bf16 arrays, for the wire between hosts. No overlap.
void pack_bf16(const float* source, std::uint16_t* destination, std::size_t count);
void unpack_bf16(const std::uint16_t* source, float* destination, std::size_t count);

}  // namespace rn::dist
