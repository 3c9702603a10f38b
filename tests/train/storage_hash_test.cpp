#include "train/storage_hash.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/error.h"
#include "core/random.h"
#include "core/tensor_hash.h"

namespace rn::train {
namespace {

// Entries of odd and even sizes, of one element, and of more than a bucket.
FlatLayout make_layout() {
  return FlatLayout(
      {{"a", {3, 5}, {}, 0}, {"b", {1}, {}, 1}, {"c", {4, 3, 3, 3}, {27, 1, 9, 3}, 0}, {"d", {257}, {}, 1}},
      64);
}

torch::Tensor random_storage(const FlatLayout& layout, torch::Dtype dtype) {
  auto storage = torch::zeros({layout.size()}, dtype);
  for (const FlatEntry& entry : layout.entries()) {
    storage.narrow(0, entry.offset, entry.numel).copy_(torch::randn({entry.numel}, dtype));
  }
  return storage;
}

void flip(const torch::Tensor& storage, std::int64_t byte, unsigned bit) {
  static_cast<unsigned char*>(storage.data_ptr())[byte] ^= static_cast<unsigned char>(1U << bit);
}

TEST(StorageHashTest, OperatorsGiveTheNumbersOfTheHostsLoop) {
  torch::manual_seed(1);
  const FlatLayout layout = make_layout();
  for (const auto dtype : {torch::kFloat32, torch::kFloat64}) {
    const auto storage = random_storage(layout, dtype);
    const auto hashes = entry_hashes(layout, storage);
    EXPECT_EQ(hashes.size(), 4U);
    EXPECT_EQ(entry_hashes_by_operators(layout, storage), hashes) << dtype;
  }
}

TEST(StorageHashTest, TheEntryAtTheStartHasTheHashOfItsBytes) {
  torch::manual_seed(2);
  const FlatLayout layout = make_layout();
  const auto storage = random_storage(layout, torch::kFloat32);
  const FlatEntry& first = layout.entries().front();
  ASSERT_EQ(first.offset, 0);
  EXPECT_EQ(entry_hashes(layout, storage).front(),
            tensor_hash({static_cast<const std::byte*>(storage.const_data_ptr()),
                         static_cast<std::size_t>(first.numel) * sizeof(float)}));
}

TEST(StorageHashTest, AFlippedBitChangesTheHashOfItsEntryAlone) {
  constexpr std::uint64_t kSeed = 3;
  SCOPED_TRACE(cat("seed ", kSeed));
  torch::manual_seed(kSeed);
  CounterRandom random(kSeed, Purpose::kSynthetic, 0, 0);
  const FlatLayout layout = make_layout();
  const auto storage = random_storage(layout, torch::kFloat32);
  const auto clean = entry_hashes(layout, storage);
  for (std::size_t i = 0; i < layout.entries().size(); ++i) {
    const FlatEntry& entry = layout.entries()[i];
    for (int repeat = 0; repeat < 20; ++repeat) {
      const std::int64_t byte = 4 * entry.offset + random.below(static_cast<std::uint32_t>(4 * entry.numel));
      const unsigned bit = random.below(8);
      flip(storage, byte, bit);
      for (const auto& hashes : {entry_hashes(layout, storage), entry_hashes_by_operators(layout, storage)}) {
        for (std::size_t k = 0; k < clean.size(); ++k) {
          EXPECT_EQ(hashes[k] != clean[k], k == i) << entry.spec.name << ", byte " << byte << ", bit " << bit;
        }
      }
      flip(storage, byte, bit);
    }
  }
  EXPECT_EQ(entry_hashes(layout, storage), clean);
}

TEST(StorageHashTest, RefusesATensorThatIsNoStorageOfTheLayout) {
  const FlatLayout layout = make_layout();
  EXPECT_THROW(entry_hashes(layout, torch::zeros({layout.size() + 1})), InternalError);
}

}  // namespace
}  // namespace rn::train
