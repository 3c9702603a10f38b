// What the tests of partitions share: labels as CIFAR-10 has them, and options.
#pragma once

#include <string>
#include <vector>

#include "core/random.h"
#include "federated/make_partition.h"

namespace rn::federated::testing_partitions {

// `per_class` images of each of `classes` classes, in mixed order.
inline std::vector<std::uint8_t> mixed_labels(int classes, int per_class, std::uint64_t seed = 0) {
  std::vector<std::uint8_t> labels;
  for (int k = 0; k < classes; ++k)
    labels.insert(labels.end(), static_cast<std::size_t>(per_class), static_cast<std::uint8_t>(k));
  CounterRandom random(seed, Purpose::kOrder, 0, 0);
  for (std::size_t left = labels.size(); left > 1; --left) {
    std::swap(labels[left - 1], labels[random.below(static_cast<std::uint32_t>(left))]);
  }
  return labels;
}

inline FederatedOptions options_of(const std::string& partition, std::int64_t clients, double alpha = 0.5) {
  FederatedOptions options;
  options.partition = partition;
  options.clients = clients;
  options.alpha = alpha;
  return options;
}

}  // namespace rn::federated::testing_partitions
