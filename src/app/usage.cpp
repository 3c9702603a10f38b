#include "app/usage.h"

namespace rn::app {

std::string usage_text() {
  return R"(usage: rn_dist CONFIG.yaml [key=value ...]    train; the same under mpirun or srun, or by launch/run
               --dry-run[=RANKS]              layers, cost and steps; loads no data
               --print-config                 every value and where it comes from
       rn_dist eval CHECKPOINT_OR_RUN         accuracy of a checkpoint; see rn_dist eval --help
       rn_dist split CONFIG.yaml              who holds which images in a federated run; writes it down
       rn_dist data COMMAND                   fetch, verify, import, synth, show; see rn_dist data --help
       rn_dist doctor                         what this machine can do, and what stands in the way
               --flight RUN_DIR               what went wrong in a run of several ranks that ended badly
       rn_dist --help                         this, and every key with its default
       rn_dist --version                      versions of the program and its libraries

Exit codes: 0 done, 1 other failure, 2 usage or configuration, 3 environment refused, 4 data or checkpoint
missing or corrupt, 5 non-finite numbers, 6 replicas differ, 7 hang, 8 a peer was lost, 75 stopped by USR1 or
the time limit with a checkpoint (start it again), 143 and 130 stopped by TERM or INT with a checkpoint.
)";
}

}  // namespace rn::app
