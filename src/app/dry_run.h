// `rn_dist CONFIG --dry-run`: the model, its cost and the run's length, without loading data or starting MPI.
#pragma once

#include <ostream>
#include <string>

#include "config/run_config.h"
#include "data/dataset.h"

namespace rn::app {

// "49500 to train on, assuming the whole of CIFAR-10 (50000), less 500 held out; 3 x 32 x 32".
std::string describe_images(const data::DatasetShape& images);

// Prints layers, parameters, FLOPs, memory and steps. Throws ConfigError as the run itself would.
void print_dry_run(const config::RunConfig& config, int world_size, std::ostream& out);

}  // namespace rn::app
