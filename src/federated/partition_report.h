// A partition for human eyes: a table and a heat map of clients and classes.
#pragma once

#include <string>
#include <vector>

#include "federated/options.h"
#include "federated/partition.h"

namespace rn::federated {

// "dirichlet_class, alpha 0.5": the partition's name and what it is drawn with.
std::string describe_partition(const FederatedOptions& options);

// Sizes and classes of all clients in a few lines, and the classes of each of the first 20 clients, or of all
// where these are few. `class_names`: one per class.
std::string partition_table(const Partition& partition, const LabelView& data,
                            const std::vector<std::string>& class_names);

// Clients (up to 100, evenly spaced among all) by classes as an SVG document.
std::string partition_heat_map(const Partition& partition, const LabelView& data,
                               const std::vector<std::string>& class_names, const std::string& title);

}  // namespace rn::federated
