// `rn_dist CONFIG --dry-run` of a federated run: model, clients, traffic and cost of a round, without loading
// data or starting MPI.
#pragma once

#include <ostream>

#include "config/run_config.h"

namespace rn::app {

// Images and labels are not read: CIFAR-10 is taken to be whole, and its classes to be of equal size. Throws
// ConfigError as the run itself would.
void print_federated_dry_run(const config::RunConfig& config, int world_size, std::ostream& out);

}  // namespace rn::app
