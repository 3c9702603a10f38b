// Which training images each client holds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rn::federated {

// Client -> ascending indices of its training images. A client costs 8 bytes and 4 per image. Immutable once
// made, so safe to read from any thread.
class Partition {
 public:
  Partition() = default;

  // Client c holds indices[offsets[c]] .. indices[offsets[c + 1] - 1], which are sorted here. REQUIRES:
  // offsets ascend from 0 to indices.size().
  Partition(std::vector<std::uint32_t> indices, std::vector<std::int64_t> offsets);

  std::int64_t clients() const { return static_cast<std::int64_t>(offsets_.size()) - 1; }
  std::int64_t size(std::int64_t client) const;
  std::span<const std::uint32_t> of(std::int64_t client) const;  // ascending

  // Images held by all clients; an image that two clients hold counts twice.
  std::int64_t total() const { return static_cast<std::int64_t>(indices_.size()); }

  // 64 bits over all of it: part of a run's identity, and compared between ranks.
  std::uint64_t fingerprint() const;

  bool operator==(const Partition&) const = default;

 private:
  std::vector<std::uint32_t> indices_;
  std::vector<std::int64_t> offsets_ = {0};
};

// The labels that a partition is made for.
struct LabelView {
  std::span<const std::uint8_t> labels;  // [images], below `classes`
  int classes = 0;
};

// The number of images of each class at one client, [classes], and at all of them, [clients, classes].
std::vector<std::int64_t> class_counts(const Partition& partition, std::int64_t client,
                                       const LabelView& data);
std::vector<std::int64_t> class_counts(const Partition& partition, const LabelView& data);

}  // namespace rn::federated
