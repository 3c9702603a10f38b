// Who this process is, read from the launcher's environment (Open MPI, SLURM with PMIx) before MPI starts.
#pragma once

#include <string>

namespace rn::dist {

struct LaunchEnv {
  bool launched = false;           // false: no launcher, a run of one rank, MPI is never initialised
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;
  int local_size = 1;
  std::string job = "local";       // unique per job on this node; safe in file names
};

// Throws EnvironmentError when SLURM started several tasks that MPI would see as rank 0 of 1 each.
LaunchEnv read_launch_env();

}  // namespace rn::dist
