#include "core/flat_layout.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>

#include "core/error.h"
#include "core/tensor_hash.h"

namespace rn {
namespace {

constexpr std::int64_t kMaxElements =
    std::numeric_limits<std::int64_t>::max() / 16;  // so that sums of sizes cannot overflow

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::int64_t count_elements(const ParameterSpec& spec) {
  std::int64_t numel = 1;
  for (const std::int64_t size : spec.shape) {
    RN_CHECK(size >= 0, "parameter ", spec.name, " has a negative dimension");
    RN_CHECK(size == 0 || numel <= kMaxElements / size, "parameter ", spec.name, " is too large");
    numel *= size;
  }
  return numel;
}

std::vector<std::int64_t> row_major_strides(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t d = shape.size(); d-- > 0;) {
    strides[d] = stride;
    stride *= std::max<std::int64_t>(shape[d], 1);
  }
  return strides;
}

// Whether the strides walk over [0, numel) without gaps or overlaps. Those of dimensions of size 1 do not
// matter.
bool is_dense(const ParameterSpec& spec, std::int64_t numel) {
  if (numel == 0) return true;
  std::vector<std::size_t> dims(spec.shape.size());
  std::iota(dims.begin(), dims.end(), std::size_t{0});
  std::erase_if(dims, [&](std::size_t d) { return spec.shape[d] == 1; });
  std::sort(dims.begin(), dims.end(),
            [&](std::size_t a, std::size_t b) { return spec.strides[a] < spec.strides[b]; });
  std::int64_t expected = 1;
  for (const std::size_t d : dims) {
    if (spec.strides[d] != expected) return false;
    expected *= spec.shape[d];
  }
  return true;
}

FlatEntry make_entry(ParameterSpec spec) {
  FlatEntry entry;
  entry.numel = count_elements(spec);
  if (spec.strides.empty()) spec.strides = row_major_strides(spec.shape);
  RN_CHECK(spec.strides.size() == spec.shape.size(), "parameter ", spec.name, " has ", spec.shape.size(),
           " dimensions and ", spec.strides.size(), " strides");
  RN_CHECK(is_dense(spec, entry.numel), "parameter ", spec.name, " does not lie densely in memory");
  RN_CHECK(spec.group >= 0, "parameter ", spec.name, " has a negative group");
  entry.spec = std::move(spec);
  return entry;
}

void hash_number(TensorHasher& hasher, std::int64_t value) {
  hasher.update(std::as_bytes(std::span(&value, 1)));
}

void hash_numbers(TensorHasher& hasher, const std::vector<std::int64_t>& values) {
  hash_number(hasher, static_cast<std::int64_t>(values.size()));
  hasher.update(std::as_bytes(std::span(values)));
}

}  // namespace

FlatLayout::FlatLayout(std::vector<ParameterSpec> forward_order, std::int64_t bucket_cap) {
  RN_CHECK(bucket_cap > 0, "a bucket holds at least one element");
  entries_.reserve(forward_order.size());
  for (auto spec = forward_order.rbegin(); spec != forward_order.rend(); ++spec) {
    group_count_ = std::max(group_count_, spec->group + 1);
    entries_.push_back(make_entry(std::move(*spec)));
  }

  for (std::size_t first = 0; first < entries_.size();) {
    // The bucket is [first, last): as many entries as fit, at least one.
    std::int64_t filled = 0;
    std::size_t last = first;
    while (last < entries_.size()) {
      const std::int64_t padded = round_up(entries_[last].numel, kEntryAlignment);
      if (last > first && filled + padded > bucket_cap) break;
      filled += padded;
      ++last;
    }
    // Stable: backward order inside a group.
    std::stable_sort(entries_.begin() + static_cast<std::ptrdiff_t>(first),
                     entries_.begin() + static_cast<std::ptrdiff_t>(last),
                     [](const FlatEntry& a, const FlatEntry& b) { return a.spec.group < b.spec.group; });

    const std::int64_t bucket_offset = size_;
    for (std::size_t i = first; i < last; ++i) {
      FlatEntry& entry = entries_[i];
      entry.offset = size_;
      entry.bucket = static_cast<int>(buckets_.size());
      size_ += round_up(entry.numel, kEntryAlignment);
      numel_ += entry.numel;
      RN_CHECK(size_ <= kMaxElements, "the parameters are too large for one layout");
      RN_CHECK(index_.emplace(entry.spec.name, i).second, "two parameters are named ", entry.spec.name);
    }
    size_ = round_up(size_, kBucketAlignment);
    buckets_.push_back({bucket_offset, size_ - bucket_offset});
    first = last;
  }
}

const FlatEntry& FlatLayout::entry(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  RN_CHECK(found != index_.end(), "the layout has no parameter named ", name);
  return entries_[found->second];
}

std::vector<Slice> FlatLayout::group_slices(int group) const {
  std::vector<Slice> slices;
  int bucket_of_last = -1;
  for (const FlatEntry& entry : entries_) {
    if (entry.spec.group != group) continue;
    if (entry.bucket != bucket_of_last) slices.push_back({entry.offset, 0});
    slices.back().size = entry.offset + entry.numel - slices.back().offset;
    bucket_of_last = entry.bucket;
  }
  return slices;
}

std::uint64_t FlatLayout::fingerprint() const {
  TensorHasher hasher;
  hash_number(hasher, size_);
  hash_number(hasher, static_cast<std::int64_t>(entries_.size()));
  for (const FlatEntry& entry : entries_) {
    hash_number(hasher,
                static_cast<std::int64_t>(entry.spec.name.size()));  // lengths keep "ab"+"c" from "a"+"bc"
    hasher.update(std::as_bytes(std::span(entry.spec.name)));
    hash_numbers(hasher, entry.spec.shape);
    hash_numbers(hasher, entry.spec.strides);
    hash_number(hasher, entry.offset);
    hash_number(hasher, entry.spec.group);
    hash_number(hasher, entry.bucket);
  }
  return hasher.finish();
}

}  // namespace rn
