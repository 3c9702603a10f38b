// The layout that all flat storages share: where each parameter lies in one long tensor.
//
// Weights, gradients, momentum, EMA, SWA and federated clients are storages of this one layout, each one
// contiguous tensor. A gradient bucket is then a slice, an optimizer step one list call per group, averaging
// one lerp, broadcast and replica check one call. Entries lie in backward order (the last layer first: its
// gradient is ready first), cut into buckets; inside a bucket they are sorted by hyper-parameter group.
// Padding between entries is zero in every storage and stays so (zero gradients, zero decay), outside every
// norm and hash.
//
// Without torch. Immutable after construction, so safe to read from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rn {

// One parameter as the model declares it.
struct ParameterSpec {
  std::string name;  // torchvision's, e.g. "layer1.0.conv1.weight"
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // dense, in any order of dimensions (channels-last convolution
                                      // weights); empty: row-major
  int group = 0;                      // hyper-parameter group, e.g. 0 decays and 1 does not
};

struct FlatEntry {
  ParameterSpec spec;
  std::int64_t offset = 0;  // in elements from the start of the storage
  std::int64_t numel = 0;
  int bucket = 0;
};

// A range of elements of a storage.
struct Slice {
  std::int64_t offset = 0;
  std::int64_t size = 0;
  bool operator==(const Slice&) const = default;
};

class FlatLayout {
 public:
  // Alignment of entries and buckets, in elements: 64 bytes and 4096 bytes (NCCL windows) of float32. Both
  // hold for wider types too.
  static constexpr std::int64_t kEntryAlignment = 16;
  static constexpr std::int64_t kBucketAlignment = 1024;

  FlatLayout() = default;

  // `forward_order`: the parameters in the order in which the model uses them. A bucket is closed when the
  // next entry would lift it above `bucket_cap` elements; an entry is never split, so a larger one is a
  // bucket of its own. REQUIRES: unique names, dense strides, groups >= 0, bucket_cap > 0; throws
  // InternalError otherwise.
  FlatLayout(std::vector<ParameterSpec> forward_order, std::int64_t bucket_cap);

  std::int64_t size() const { return size_; }    // elements of a storage, padding included
  std::int64_t numel() const { return numel_; }  // elements without padding
  int group_count() const { return group_count_; }

  const std::vector<FlatEntry>& entries() const { return entries_; }  // in layout order
  const FlatEntry& entry(std::string_view name) const;                // throws InternalError if absent
  const std::vector<Slice>& buckets() const { return buckets_; }      // cover [0, size()) in order
  // The runs of one group's entries, in layout order, at most one per bucket (groups are sorted inside a
  // bucket and a run never crosses a bucket). Padding between two entries of a run is inside it, padding
  // behind the last is not.
  std::vector<Slice> group_slices(int group) const;

  // A hash over names, shapes, strides, offsets, groups and buckets: equal on all ranks of a run.
  std::uint64_t fingerprint() const;

 private:
  std::vector<FlatEntry> entries_;
  std::vector<Slice> buckets_;
  std::unordered_map<std::string, std::size_t> index_;
  std::int64_t size_ = 0;
  std::int64_t numel_ = 0;
  int group_count_ = 0;
};

}  // namespace rn
