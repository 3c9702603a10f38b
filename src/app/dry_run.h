// `rn_dist CONFIG --dry-run`: the model, its cost and the run's length, without loading data or starting MPI.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "config/run_config.h"

namespace rn::app {

// What a run's data would be, without reading it.
std::int64_t dry_run_samples(const config::RunConfig& config);       // to train on
std::int64_t dry_run_test_samples(const config::RunConfig& config);  // of the test split
std::string dry_run_source(const config::RunConfig& config);         // in words, with what is assumed

// Prints layers, parameters, FLOPs, memory and steps. Throws ConfigError as the run itself would.
void print_dry_run(const config::RunConfig& config, int world_size, std::ostream& out);

}  // namespace rn::app
