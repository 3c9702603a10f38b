// Which cores of the node a rank computes on.
//
// mpirun binds each rank to one core by default. A rank widens its mask to its share of the node's cores
// before any thread starts, so that threads started later inherit it.
#pragma once

#include <vector>

#include "dist/launch_env.h"

namespace rn::dist {

// A logical CPU and where it sits.
struct Cpu {
  int id = 0;
  int package = 0;
  int core = 0;  // physical core; siblings (hyper-threads) share it
  bool operator==(const Cpu&) const = default;
};

struct CoreShare {
  std::vector<int> cpus;  // ids for the mask; all usable ones where `pinned` is false
  int threads = 1;        // equal on all ranks of the node: a step is as slow as its slowest rank
  bool pinned = false;    // false: the mask is not narrowed to this rank's own cores
  bool operator==(const CoreShare&) const = default;
};

// The share of one rank. Pure. Neighbouring cores and hyper-thread siblings stay together; cores that are
// left over go to the first ranks' masks (for their loader threads), not to their thread counts. More ranks
// than cores, or a CPU-time quota below one core per rank: one thread, not pinned. `cpu_limit`: CPU-time
// quota in cores. REQUIRES: usable not empty, 0 <= local_rank < local_size, cpu_limit > 0.
CoreShare split_cores(std::vector<Cpu> usable, double cpu_limit, int local_rank, int local_size);

// Finds the cores this job may use on the node, applies this rank's share to the calling thread, and returns
// it. Without a launcher, or where the launcher bound cores on purpose, the mask stays as it is. Call before
// any thread starts. Never throws for what the system refuses: the mask then stays, and one thread per core
// of it is used.
CoreShare claim_cores(const LaunchEnv& env);

}  // namespace rn::dist
