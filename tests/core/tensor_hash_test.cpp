#include "core/tensor_hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "core/random.h"
#include "core/timer.h"

namespace rn {
namespace {

std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed) {
  CounterRandom random(seed, Purpose::kSynthetic, 0, size);
  std::vector<std::byte> bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
  return bytes;
}

std::uint64_t hash_of(std::string_view text) { return tensor_hash(std::as_bytes(std::span(text))); }

// The definition in tensor_hash.h, written a second time and byte by byte.
std::uint64_t hash_by_definition(std::span<const std::byte> bytes) {
  const auto mix = [](std::uint64_t x) {
    const std::uint64_t z = x * 0x94D049BB133111EB;
    const std::uint64_t y = (z ^ (z >> 32)) * 0xBF58476D1CE4E5B9;
    return y ^ (y >> 29);
  };
  std::uint64_t sum = 0;
  for (std::size_t word = 0; word * 8 < bytes.size(); ++word) {
    std::uint64_t value = 0;
    for (std::size_t i = word * 8; i < std::min(bytes.size(), word * 8 + 8); ++i) {
      value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * (i % 8));
    }
    sum += mix(value + (word + 1) * 0x9E3779B97F4A7C15);
  }
  return mix(sum + mix(bytes.size() + 0xD1B54A32D192ED03));
}

TEST(TensorHashTest, EqualsItsDefinitionForEveryLength) {
  for (std::size_t size = 0; size < 150; ++size) {
    const auto bytes = random_bytes(size, 1);
    EXPECT_EQ(tensor_hash(bytes), hash_by_definition(bytes)) << size << " bytes";
  }
}

// Hashes are stored in checkpoints: these values, computed in Python from the definition, may never change.
TEST(TensorHashTest, KeepsItsValues) {
  EXPECT_EQ(hash_to_hex(hash_of("")), "d2fb5f78c4bf8775");
  EXPECT_EQ(hash_to_hex(hash_of("rn_dist")), "83667fd6babde491");
  EXPECT_EQ(hash_to_hex(hash_of("a checkpoint without its manifest does not exist")), "6fd3250b8ecc1be1");
}

TEST(TensorHashTest, EverySingleFlippedBitChangesIt) {
  auto bytes = random_bytes(203, 2);
  const std::uint64_t expected = tensor_hash(bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_NE(tensor_hash(bytes), expected) << "bit " << bit;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
  }
  EXPECT_EQ(tensor_hash(bytes), expected);
}

TEST(TensorHashTest, ZerosOfEveryLengthDiffer) {
  std::set<std::uint64_t> hashes;
  const std::vector<std::byte> zeros(1000);
  for (std::size_t size = 0; size <= zeros.size(); ++size)
    hashes.insert(tensor_hash(std::span(zeros).first(size)));
  EXPECT_EQ(hashes.size(), zeros.size() + 1);
}

TEST(TensorHashTest, PositionMatters) {
  auto bytes = random_bytes(64, 3);
  const std::uint64_t expected = tensor_hash(bytes);
  for (std::size_t a = 0; a < 8; ++a) {
    for (std::size_t b = a + 1; b < 8; ++b) {
      auto swapped = bytes;
      std::swap_ranges(swapped.begin() + static_cast<std::ptrdiff_t>(8 * a),
                       swapped.begin() + static_cast<std::ptrdiff_t>(8 * a + 8),
                       swapped.begin() + static_cast<std::ptrdiff_t>(8 * b));
      EXPECT_NE(tensor_hash(swapped), expected) << "words " << a << " and " << b;
    }
  }
}

TEST(TensorHashTest, PiecesSummedInAnyOrderGiveTheWhole) {
  const auto bytes = random_bytes(1005, 4);
  const std::span<const std::byte> all(bytes);
  const std::uint64_t backwards = tensor_hash_sum(all.subspan(800), 100) +
                                  tensor_hash_sum(all.subspan(8, 792), 1) + tensor_hash_sum(all.first(8), 0);
  EXPECT_EQ(tensor_hash_finish(backwards, bytes.size()), tensor_hash(bytes));
}

TEST(TensorHasherTest, PiecesOfAnySizeGiveTheHashOfTheWhole) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CounterRandom random(seed, Purpose::kSynthetic, 1, 0);
    const auto bytes = random_bytes(random.below(400), seed);
    TensorHasher hasher;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t piece = std::min<std::size_t>(random.below(20), bytes.size() - at);
      hasher.update(std::span(bytes).subspan(at, piece));
      at += piece;
      EXPECT_EQ(hasher.size(), at);
      EXPECT_EQ(hasher.finish(), tensor_hash(std::span(bytes).first(at)))
          << "seed " << seed << ", " << at << " bytes";
    }
  }
}

TEST(TensorHasherTest, OfNothingIsTheHashOfNothing) { EXPECT_EQ(TensorHasher().finish(), tensor_hash({})); }

// Prints the speed; the bound is far below what any machine reaches, so that a loaded one does not fail.
TEST(TensorHashTest, IsFastEnoughForEveryStep) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's build is slow";
#endif
  const std::vector<std::byte> bytes(std::size_t{64} << 20, std::byte{7});
  std::uint64_t hash = tensor_hash(bytes);
  double best_seconds = 1e9;
  for (int i = 0; i < 5; ++i) {
    const Stopwatch watch;
    hash ^= tensor_hash(bytes);
    best_seconds = std::min(best_seconds, watch.seconds());
  }
  const double gigabytes_per_second = static_cast<double>(bytes.size()) / best_seconds / 1e9;
  RecordProperty("gigabytes_per_second", std::to_string(gigabytes_per_second));
  std::printf("tensor_hash: %.1f GB/s on one thread (%d)\n", gigabytes_per_second,
              static_cast<int>(hash & 1));
  EXPECT_GT(gigabytes_per_second, 0.3);
}

}  // namespace
}  // namespace rn
