#include "train/storage_hash.h"

#include <span>

#include "core/error.h"
#include "core/tensor_hash.h"

namespace rn::train {
namespace {

constexpr std::int64_t kWord = 8;  // bytes

// The numbers of the definition in core/tensor_hash.h, as the signed ones that LibTorch computes with: its
// 64-bit integers wrap around, so products and sums are those modulo 2^64.
constexpr auto kPosition = static_cast<std::int64_t>(0x9E3779B97F4A7C15);
constexpr auto kFirstFactor = static_cast<std::int64_t>(0x94D049BB133111EB);
constexpr auto kSecondFactor = static_cast<std::int64_t>(0xBF58476D1CE4E5B9);

// x ^= x >> bits with zeros shifted in; LibTorch's shift repeats the sign.
void xor_shifted(torch::Tensor& x, int bits) {
  const std::int64_t mask = (std::int64_t{1} << (64 - bits)) - 1;
  x.bitwise_xor_(at::bitwise_right_shift(x, bits).bitwise_and_(mask));
}

void check_storage(const FlatLayout& layout, const torch::Tensor& storage) {
  RN_CHECK(storage.dim() == 1 && storage.numel() == layout.size() && storage.is_contiguous());
  RN_CHECK(kWord % static_cast<std::int64_t>(storage.element_size()) == 0);
}

}  // namespace

std::vector<std::uint64_t> entry_hashes(const FlatLayout& layout, const torch::Tensor& storage) {
  check_storage(layout, storage);
  if (!storage.device().is_cpu()) return entry_hashes_by_operators(layout, storage);
  const auto* const data = static_cast<const std::byte*>(storage.const_data_ptr());
  const auto element = static_cast<std::int64_t>(storage.element_size());
  std::vector<std::uint64_t> hashes;
  hashes.reserve(layout.entries().size());
  for (const FlatEntry& entry : layout.entries()) {
    const std::span bytes(data + entry.offset * element, static_cast<std::size_t>(entry.numel * element));
    // Words are counted from the start of the storage, since the operators below do so.
    const auto first_word = static_cast<std::uint64_t>(entry.offset * element / kWord);
    hashes.push_back(tensor_hash_finish(tensor_hash_sum(bytes, first_word), bytes.size()));
  }
  return hashes;
}

std::vector<std::uint64_t> entry_hashes_by_operators(const FlatLayout& layout, const torch::Tensor& storage) {
  check_storage(layout, storage);
  if (layout.entries().empty()) return {};
  const torch::NoGradGuard no_grad;
  const torch::Tensor words = storage.detach().view(torch::kInt64);
  torch::Tensor terms = torch::arange(1, words.numel() + 1, words.options()).mul_(kPosition).add_(words);
  terms.mul_(kFirstFactor);
  xor_shifted(terms, 32);
  terms.mul_(kSecondFactor);
  xor_shifted(terms, 29);

  const auto element = static_cast<std::int64_t>(storage.element_size());
  std::vector<torch::Tensor> sums;
  for (const FlatEntry& entry : layout.entries()) {
    // Entries start at whole words; a last word that is half an entry's ends in padding, which is zero as the
    // definition wants it.
    const std::int64_t first = entry.offset * element / kWord;
    const std::int64_t count = (entry.numel * element + kWord - 1) / kWord;
    sums.push_back(terms.narrow(0, first, count).sum());
  }
  const torch::Tensor host = torch::stack(sums).to(torch::kCPU);  // the one copy, which waits for the device
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const auto sum = static_cast<std::uint64_t>(host.const_data_ptr<std::int64_t>()[i]);
    hashes.push_back(
        tensor_hash_finish(sum, static_cast<std::uint64_t>(layout.entries()[i].numel * element)));
  }
  return hashes;
}

}  // namespace rn::train
