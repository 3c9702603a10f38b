#include "core/philox_lanes.h"

#include "core/vector_clones.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace rn {
namespace {

constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

RN_VECTOR_CLONES void loops(std::uint64_t first, std::array<std::uint32_t, 2> upper,
                            std::array<std::uint32_t, 2> key, std::uint32_t* __restrict words) {
  std::uint32_t a[kPhiloxLanes], b[kPhiloxLanes], c[kPhiloxLanes], d[kPhiloxLanes];
  for (std::size_t i = 0; i < kPhiloxLanes; ++i) {
    a[i] = low(first + i);
    b[i] = high(first + i);
    c[i] = upper[0];
    d[i] = upper[1];
  }
  for (int round = 0; round < kPhiloxRounds; ++round) {
    for (std::size_t i = 0; i < kPhiloxLanes; ++i) {
      const std::uint64_t product0 = std::uint64_t{kPhiloxMultiplier0} * a[i];
      const std::uint64_t product1 = std::uint64_t{kPhiloxMultiplier1} * c[i];
      a[i] = high(product1) ^ b[i] ^ key[0];
      b[i] = low(product1);
      c[i] = high(product0) ^ d[i] ^ key[1];
      d[i] = low(product0);
    }
    key[0] += kPhiloxWeyl0;
    key[1] += kPhiloxWeyl1;
  }
  for (std::size_t i = 0; i < kPhiloxLanes; ++i) {
    words[4 * i] = a[i];
    words[4 * i + 1] = b[i];
    words[4 * i + 2] = c[i];
    words[4 * i + 3] = d[i];
  }
}

#if defined(__x86_64__)

// Eight words in a vector, each in the lower half of 64 bits: what a product leaves in the upper half is
// dropped by the next one, which reads lower halves only. Compilers do not find this by themselves (8 times
// as slow).
__attribute__((target("avx512f"))) void avx512_lanes(std::uint64_t first, std::array<std::uint32_t, 2> upper,
                                                     std::array<std::uint32_t, 2> key, std::uint32_t* words) {
  constexpr int kVectors = 2;
  constexpr int kXor = 0x96;  // of three
  const __m512i multiplier0 = _mm512_set1_epi64(kPhiloxMultiplier0),
                multiplier1 = _mm512_set1_epi64(kPhiloxMultiplier1);
  __m512i a[kVectors], b[kVectors], c[kVectors], d[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    a[v] =
        _mm512_add_epi64(_mm512_set1_epi64(static_cast<long long>(first + 8 * static_cast<std::uint64_t>(v))),
                         _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
    b[v] = _mm512_srli_epi64(a[v], 32);
    c[v] = _mm512_set1_epi64(upper[0]);
    d[v] = _mm512_set1_epi64(upper[1]);
  }
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const __m512i key0 = _mm512_set1_epi64(key[0]), key1 = _mm512_set1_epi64(key[1]);
    for (int v = 0; v < kVectors; ++v) {
      const __m512i product0 = _mm512_mul_epu32(a[v], multiplier0),
                    product1 = _mm512_mul_epu32(c[v], multiplier1);
      a[v] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(product1, 32), b[v], key0, kXor);
      b[v] = product1;
      c[v] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(product0, 32), d[v], key1, kXor);
      d[v] = product0;
    }
    key[0] += kPhiloxWeyl0;
    key[1] += kPhiloxWeyl1;
  }
  const __m512i lower = _mm512_set1_epi64(0xffffffff);
  const __m512i four_first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i four_last = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  for (int v = 0; v < kVectors; ++v, words += 32) {
    const __m512i ab = _mm512_or_si512(_mm512_and_si512(a[v], lower), _mm512_slli_epi64(b[v], 32));
    const __m512i cd = _mm512_or_si512(_mm512_and_si512(c[v], lower), _mm512_slli_epi64(d[v], 32));
    _mm512_storeu_si512(words, _mm512_permutex2var_epi64(ab, four_first, cd));
    _mm512_storeu_si512(words + 16, _mm512_permutex2var_epi64(ab, four_last, cd));
  }
}

#endif

}  // namespace

void philox_lanes(std::uint64_t first, std::array<std::uint32_t, 2> upper, std::array<std::uint32_t, 2> key,
                  std::uint32_t* words) {
#if defined(__x86_64__)
  static const bool has_avx512 = __builtin_cpu_supports("avx512f");
  if (has_avx512) return avx512_lanes(first, upper, key, words);
#endif
  plain_philox_lanes(first, upper, key, words);
}

void plain_philox_lanes(std::uint64_t first, std::array<std::uint32_t, 2> upper,
                        std::array<std::uint32_t, 2> key, std::uint32_t* words) {
  loops(first, upper, key, words);
}

}  // namespace rn
