// Which GPU each rank computes on, agreed on by all ranks.
#pragma once

#include "core/communicator.h"
#include "dist/launch_env.h"
#include "dist/options.h"

namespace rn::dist {

// Throws ConfigError when the configuration asks for NCCL and this build has none. Needs no other rank.
void check_backend(const DistOptions& options);

// Collective over `host`. The CUDA device of this rank (made the calling thread's), or -1 where all ranks
// compute on the CPU. Throws EnvironmentError, alike on all ranks, where two ranks would share a GPU or only
// some have one. Rank 0 points idle GPUs out.
int choose_device(const DistOptions& options, const LaunchEnv& env, Communicator& host);

}  // namespace rn::dist
