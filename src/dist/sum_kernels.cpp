#include "dist/sum_kernels.h"

#include <algorithm>
#include <cstring>

#include "core/bfloat16.h"
#include "core/error.h"
#include "core/vector_clones.h"

namespace rn::dist {
namespace {

// Elements summed at a time: the accumulator stays in the first-level cache.
constexpr std::size_t kBlock = 1024;

inline float round_to_bf16(float value) { return to_float(to_bfloat16(value)); }

RN_VECTOR_CLONES void add(float* __restrict sum, const float* __restrict x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += x[i];
}
RN_VECTOR_CLONES void add(double* __restrict sum, const double* __restrict x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += x[i];
}
RN_VECTOR_CLONES void add(std::uint32_t* __restrict sum, const std::uint32_t* __restrict x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += x[i];
}
RN_VECTOR_CLONES void add(std::uint64_t* __restrict sum, const std::uint64_t* __restrict x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += x[i];
}
RN_VECTOR_CLONES void add_rounded(float* __restrict sum, const float* __restrict x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) sum[i] += round_to_bf16(x[i]);
}
RN_VECTOR_CLONES void round_all(float* __restrict values, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) values[i] = round_to_bf16(values[i]);
}
RN_VECTOR_CLONES void pack(const float* __restrict source, std::uint16_t* __restrict destination,
                           std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    destination[i] = to_bfloat16(source[i]).bits;
  }
}
RN_VECTOR_CLONES void unpack(const std::uint16_t* __restrict source, float* __restrict destination,
                             std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    destination[i] = to_float(BFloat16{source[i]});
  }
}

// `finish(accumulator, n)` and `accumulate(accumulator, source, n)` see blocks of at most kBlock elements.
// The accumulator is a copy, so that a destination may be a source and the loops still vectorise.
template <typename T, typename Start, typename Accumulate, typename Finish>
void sum_blocks(std::span<const std::byte* const> sources, std::span<std::byte* const> destinations,
                std::size_t count, Start start, Accumulate accumulate, Finish finish) {
  alignas(64) T accumulator[kBlock];
  for (std::size_t begin = 0; begin < count; begin += kBlock) {
    const std::size_t n = std::min(kBlock, count - begin);
    std::memcpy(accumulator, sources[0] + begin * sizeof(T), n * sizeof(T));
    start(accumulator, n);
    for (const std::byte* source : sources.subspan(1)) {
      accumulate(accumulator, reinterpret_cast<const T*>(source) + begin, n);
    }
    finish(accumulator, n);
    for (std::byte* destination : destinations)
      std::memcpy(destination + begin * sizeof(T), accumulator, n * sizeof(T));
  }
}

template <typename T>
void sum_plain(std::span<const std::byte* const> sources, std::span<std::byte* const> destinations,
               std::size_t count) {
  const auto nothing = [](T*, std::size_t) {};
  sum_blocks<T>(
      sources, destinations, count, nothing, [](T* sum, const T* x, std::size_t n) { add(sum, x, n); },
      nothing);
}

void sum_rounded(std::span<const std::byte* const> sources, std::span<std::byte* const> destinations,
                 std::size_t count, Rounding rounding) {
  sum_blocks<float>(
      sources, destinations, count,
      [&](float* first, std::size_t n) {
        if (rounding.sources) round_all(first, n);
      },
      [&](float* sum, const float* x, std::size_t n) {
        if (rounding.sources) {
          add_rounded(sum, x, n);
        } else {
          add(sum, x, n);
        }
      },
      [&](float* sum, std::size_t n) {
        if (rounding.result) round_all(sum, n);
      });
}

}  // namespace

void sum_arrays(std::span<const std::byte* const> sources, std::span<std::byte* const> destinations,
                std::size_t count, DType dtype, Rounding rounding) {
  RN_CHECK(!sources.empty());
  if (rounding.sources || rounding.result) {
    RN_CHECK(dtype == DType::kF32, "bf16 rounding of ", name_of(dtype));
    return sum_rounded(sources, destinations, count, rounding);
  }
  switch (dtype) {
    case DType::kF32:
      return sum_plain<float>(sources, destinations, count);
    case DType::kF64:
      return sum_plain<double>(sources, destinations, count);
    case DType::kI32:
      return sum_plain<std::uint32_t>(sources, destinations, count);
    case DType::kI64:
      return sum_plain<std::uint64_t>(sources, destinations, count);
    default:
      RN_CHECK(false, "no sum of ", name_of(dtype));
  }
}

void pack_bf16(const float* source, std::uint16_t* destination, std::size_t count) {
  pack(source, destination, count);
}

void unpack_bf16(const std::uint16_t* source, float* destination, std::size_t count) {
  unpack(source, destination, count);
}

}  // namespace rn::dist
