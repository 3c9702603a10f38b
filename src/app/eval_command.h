// `rn_dist eval CHECKPOINT_OR_RUN ...`: the counts of a checkpoint on a split, the same at any rank count.
#pragma once

#include <ostream>
#include <span>
#include <string>

namespace rn::app {

// Runs the command with the words after `eval`; alone or under mpirun. Returns the exit code; throws
// ConfigError for usage before MPI starts.
int run_eval_command(std::span<const std::string> args, std::ostream& out);

}  // namespace rn::app
