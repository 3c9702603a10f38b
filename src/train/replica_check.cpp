#include "train/replica_check.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>

#include "core/error.h"
#include "core/tensor_hash.h"
#include "dist/agreement.h"
#include "train/storage_hash.h"

namespace rn::train {
namespace {

std::span<const std::byte> bytes_of_tensor(const torch::Tensor& host) {
  return {static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()};
}

// A hash per tensor and value, in the order of the walk; tensors in the order of the model.
class HashVisitor : public StateVisitor {
 public:
  explicit HashVisitor(const model::FlatParameters& params) : params_(params) {}

  void storage(const std::string& file, const std::string& prefix, torch::Tensor& values) override {
    const auto by_entry = entry_hashes(params_.layout(), values);
    for (const std::size_t i : params_.model_order()) {
      add(cat(file, "/", prefix, params_.layout().entries()[i].spec.name), by_entry[i]);
    }
  }
  void statistics(const std::string& file, const std::string& prefix, torch::Tensor& values) override {
    const torch::Tensor host = on_host(values);
    for (const auto& entry : params_.statistic_entries()) {
      const auto part = host.narrow(0, entry.offset, entry.numel);
      add(cat(file, "/", prefix, entry.name), tensor_hash(bytes_of_tensor(part)));
    }
  }
  void tensor(const std::string& file, const std::string& name, torch::Tensor& value) override {
    add(cat(file, "/", name), tensor_hash(bytes_of_tensor(on_host(value))));
  }
  void value(const std::string& name, std::int64_t& value) override { add_value(name, value); }
  void value(const std::string& name, double& value) override { add_value(name, value); }
  void seconds(const std::string&, double&) override {}

  std::vector<std::string> names;
  std::vector<std::uint64_t> hashes;

 private:
  // Small tensors only; storages are hashed where they lie.
  static torch::Tensor on_host(const torch::Tensor& values) {
    return values.detach().to(torch::kCPU).contiguous();
  }
  void add(std::string name, std::uint64_t hash) {
    names.push_back(std::move(name));
    hashes.push_back(hash);
  }
  template <typename T>
  void add_value(const std::string& name, const T& value) {
    add(name, tensor_hash(std::as_bytes(std::span(&value, 1))));
  }

  const model::FlatParameters& params_;
};

using Ranks = std::vector<std::size_t>;

// The ranks that hold each hash of column `i`; rank 0's first, the others as they come.
std::vector<Ranks> groups_of(const std::vector<std::uint64_t>& all, std::size_t count, std::size_t i) {
  std::vector<Ranks> groups;
  std::map<std::uint64_t, std::size_t> group_of;
  for (std::size_t rank = 0; rank * count < all.size(); ++rank) {
    const auto [found, is_new] = group_of.emplace(all[rank * count + i], groups.size());
    if (is_new) groups.emplace_back();
    groups[found->second].push_back(rank);
  }
  return groups;
}

// Those outside the group that holds more than half of the ranks; empty without such a group.
Ranks outside_majority(const std::vector<Ranks>& groups, std::size_t ranks) {
  const auto majority = std::find_if(groups.begin(), groups.end(),
                                     [&](const Ranks& group) { return 2 * group.size() > ranks; });
  if (majority == groups.end()) return {};
  Ranks outside;
  for (auto group = groups.begin(); group != groups.end(); ++group) {
    if (group != majority) outside.insert(outside.end(), group->begin(), group->end());
  }
  std::sort(outside.begin(), outside.end());
  return outside;
}

std::string describe(const std::string& name, const std::vector<Ranks>& groups, const Ranks& outside,
                     std::size_t ranks) {
  if (!outside.empty()) {
    return cat(name, " of ", dist::rank_list(outside), outside.size() == 1 ? " differs" : " differ",
               " from that of the other ", ranks - outside.size(), " ranks");
  }
  std::string sides;
  for (const Ranks& group : groups) sides += cat(sides.empty() ? "" : " against ", dist::rank_list(group));
  return cat(name, " differs, ", sides, ", and no majority says which is right");
}

}  // namespace

std::optional<ReplicaDifference> find_replica_difference(RunState& state, Communicator& host) {
  const auto ranks = static_cast<std::size_t>(host.world_size());
  if (ranks == 1) return std::nullopt;
  HashVisitor mine(state.params);
  state.walk(mine);
  const std::size_t count = mine.hashes.size();
  std::vector<std::uint64_t> all(count * ranks);
  host.all_gather(std::as_bytes(std::span<const std::uint64_t>(mine.hashes)), bytes_of(std::span(all)))
      .wait();

  const auto differs = [&](std::size_t i) {
    for (std::size_t rank = 1; rank < ranks; ++rank) {
      if (all[rank * count + i] != all[i]) return true;
    }
    return false;
  };
  std::size_t first = count, differing = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (differs(i) && differing++ == 0) first = i;
  }
  if (differing == 0) return std::nullopt;
  const auto groups = groups_of(all, count, first);
  Ranks outside = outside_majority(groups, ranks);
  std::string message = cat(describe(mine.names[first], groups, outside, ranks), "; ", differing, " of ",
                            count, " tensors and values ", differing == 1 ? "differs" : "differ");
  return ReplicaDifference{mine.names[first], std::move(outside), std::move(message)};
}

}  // namespace rn::train
