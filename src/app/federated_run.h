// The description of a federated run, as main.cpp's is of a training run.
#pragma once

#include "config/run_config.h"

namespace rn::app {

// run.mode: federated, from the session to the exit code.
int federated_run(const config::RunConfig& config);

}  // namespace rn::app
