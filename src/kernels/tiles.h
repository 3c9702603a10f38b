// What the files *_amx.cpp share: the tiles' configuration, and laying out channels-last values for tile
// products.
//
// Only these files are compiled for AMX and AVX-512, hence the unnamed namespace: the linker shall not hand
// this code to others.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "core/bfloat16.h"
#include "kernels/convolution_shape.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kTileBytes = 64;           // of a tile's row
constexpr std::int64_t kTileChannels = 16;        // rows of one tile, columns of the other
constexpr std::int64_t kTile = 512;               // bf16 values
constexpr std::int64_t kPairOfTiles = 2 * kTile;  // of 32 images and 32 channels
static_assert(kChannelBlock == 2 * kTileChannels);

// Eight tiles of 16 rows x 64 bytes: Intel SDM, LDTILECFG.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// GCC's tile intrinsics do not say which memory they read: what was stored there must have been stored by
// now.
inline void settle(const void* memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

class TileScope {
 public:
  TileScope() {
    settle(&config_);
    _tile_loadconfig(&config_);
  }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;

 private:
  const TileConfig config_;
};

// Adds a pair of tiles times a pair of tiles to the sums in tiles 0 to 3: first times first, first times
// second, second times first, second times second.
inline void multiply_pairs(const BFloat16* a, const BFloat16* b) {
  _tile_loadd(4, a, kTileBytes);
  _tile_loadd(6, b, kTileBytes);
  _tile_loadd(7, b + kTile, kTileBytes);
  _tile_loadd(5, a + kTile, kTileBytes);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

struct AlignedFree {
  void operator()(BFloat16* data) const { std::free(data); }
};
using Buffer = std::unique_ptr<BFloat16[], AlignedFree>;

Buffer zeroed_buffer(std::int64_t values) {
  const auto bytes = static_cast<std::size_t>(values) * sizeof(BFloat16);
  void* const data = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (data == nullptr) throw std::bad_alloc();
  std::memset(data, 0, bytes);
  return Buffer(static_cast<BFloat16*>(data));
}

struct alignas(64) PermuteIndex {
  std::int16_t at[32];
};

// Interleaves the lower (first = 0) or upper (first = 16) halves of two vectors of 32 16-bit values.
constexpr PermuteIndex interleaving(int first) {
  PermuteIndex index{};
  for (int i = 0; i < 16; ++i) {
    index.at[2 * i] = static_cast<std::int16_t>(first + i);
    index.at[2 * i + 1] = static_cast<std::int16_t>(32 + first + i);
  }
  return index;
}

// 32 channels of an image pair, as [channel][2]: channels 0 to 15 in `low`, the others in `high`.
struct ImagePair {
  __m512i low, high;
};

// Channels `source[0..31]` of images 2 * pair and 2 * pair + 1, `image_step` values apart; zeros from `count`
// on.
inline ImagePair load_pair(const BFloat16* source, std::int64_t image_step, std::int64_t count,
                           std::int64_t pair) {
  static constexpr PermuteIndex kLow = interleaving(0), kHigh = interleaving(16);
  const auto image = [&](std::int64_t n) {
    return n < count ? _mm512_loadu_si512(source + n * image_step) : _mm512_setzero_si512();
  };
  const __m512i a = image(2 * pair), b = image(2 * pair + 1);
  return {_mm512_permutex2var_epi16(a, _mm512_load_si512(&kLow), b),
          _mm512_permutex2var_epi16(a, _mm512_load_si512(&kHigh), b)};
}

// Two tiles [image pair 16][channel 16][2].
inline void lay_out_pairs(const BFloat16* source, std::int64_t image_step, std::int64_t count,
                          BFloat16* tiles) {
  for (std::int64_t pair = 0; pair < kImageGroup / 2; ++pair) {
    const ImagePair values = load_pair(source, image_step, count, pair);
    _mm512_store_si512(tiles + pair * 32, values.low);
    _mm512_store_si512(tiles + kTile + pair * 32, values.high);
  }
}

// A 16 x 16 matrix of 32-bit values: doubles the transposed blocks four times.
inline void transpose(__m512i (&row)[16]) {
  __m512i a[16], b[16];
  for (int i = 0; i < 8; ++i) {
    a[2 * i] = _mm512_unpacklo_epi32(row[2 * i], row[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi32(row[2 * i], row[2 * i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    a[i] = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88);
    a[i + 4] = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xdd);
    a[i + 8] = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88);
    a[i + 12] = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    row[i] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0x88);
    row[i + 4] = _mm512_shuffle_i32x4(a[i + 4], a[i + 12], 0x88);
    row[i + 8] = _mm512_shuffle_i32x4(a[i], a[i + 8], 0xdd);
    row[i + 12] = _mm512_shuffle_i32x4(a[i + 4], a[i + 12], 0xdd);
  }
}

// Two tiles [channel 16][image 32]: image pairs as 32-bit values, transposed.
inline void lay_out_transposed(const BFloat16* source, std::int64_t image_step, std::int64_t count,
                               BFloat16* tiles) {
  __m512i low[16], high[16];
  for (int pair = 0; pair < 16; ++pair) {
    const ImagePair values = load_pair(source, image_step, count, pair);
    low[pair] = values.low;
    high[pair] = values.high;
  }
  transpose(low);
  transpose(high);
  for (int channel = 0; channel < 16; ++channel) {
    _mm512_store_si512(tiles + channel * kImageGroup, low[channel]);
    _mm512_store_si512(tiles + kTile + channel * kImageGroup, high[channel]);
  }
}

}  // namespace
}  // namespace rn::kernels
