#include "federated/partition.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/tensor_hash.h"

namespace rn::federated {

Partition::Partition(std::vector<std::uint32_t> indices, std::vector<std::int64_t> offsets)
    : indices_(std::move(indices)), offsets_(std::move(offsets)) {
  RN_CHECK(!offsets_.empty() && offsets_.front() == 0 && offsets_.back() == total() &&
               std::is_sorted(offsets_.begin(), offsets_.end()),
           "offsets do not cut ", total(), " indices");
  for (std::size_t c = 1; c < offsets_.size(); ++c) {
    std::sort(indices_.begin() + offsets_[c - 1], indices_.begin() + offsets_[c]);
  }
}

std::int64_t Partition::size(std::int64_t client) const {
  return static_cast<std::int64_t>(of(client).size());
}

std::span<const std::uint32_t> Partition::of(std::int64_t client) const {
  RN_CHECK(client >= 0 && client < clients(), "client ", client, " of ", clients());
  const auto begin = static_cast<std::size_t>(offsets_[static_cast<std::size_t>(client)]);
  const auto end = static_cast<std::size_t>(offsets_[static_cast<std::size_t>(client) + 1]);
  return std::span(indices_).subspan(begin, end - begin);
}

std::uint64_t Partition::fingerprint() const {
  TensorHasher hasher;
  hasher.update(std::as_bytes(std::span(offsets_)));
  hasher.update(std::as_bytes(std::span(indices_)));
  return hasher.finish();
}

std::vector<std::int64_t> class_counts(const Partition& partition, std::int64_t client,
                                       const LabelView& data) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(data.classes), 0);
  for (const auto image : partition.of(client)) ++counts[data.labels[image]];
  return counts;
}

std::vector<std::int64_t> class_counts(const Partition& partition, const LabelView& data) {
  std::vector<std::int64_t> counts;
  counts.reserve(static_cast<std::size_t>(partition.clients()) * static_cast<std::size_t>(data.classes));
  for (std::int64_t client = 0; client < partition.clients(); ++client) {
    const auto of_client = class_counts(partition, client, data);
    counts.insert(counts.end(), of_client.begin(), of_client.end());
  }
  return counts;
}

}  // namespace rn::federated
