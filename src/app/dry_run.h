// `rn_dist CONFIG --dry-run`: the model, its cost and the run's length, without loading data or starting MPI.
#pragma once

#include <ostream>

#include "config/run_config.h"

namespace rn::app {

// Prints layers, parameters, FLOPs, memory and steps. Throws ConfigError as the run itself would.
void print_dry_run(const config::RunConfig& config, int world_size, std::ostream& out);

}  // namespace rn::app
