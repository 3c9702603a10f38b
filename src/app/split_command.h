// `rn_dist split CONFIG.yaml [key=value ...]`: who would hold which images, before anything is trained.
#pragma once

#include <ostream>
#include <span>
#include <string>

namespace rn::app {

// Prints the partition of a federated configuration as a table, and writes partition.txt, which
// federated.partition: file reads, and partition.svg, a heat map of clients and classes, into a folder. Under
// a launcher rank 0 does it alone. Returns the exit code; throws ConfigError and DataError.
int run_split_command(std::span<const std::string> args, std::ostream& out);

}  // namespace rn::app
