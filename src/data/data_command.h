// The command line of `rn_dist data ...`.
#pragma once

#include <ostream>
#include <span>
#include <string>

namespace rn::data {

// Runs fetch, verify, synth, import or show with the words after `data`, writing to `out`; returns 0.
// `--help` and no words print the help. Throws ConfigError for a wrong command line, and what the work itself
// throws (DataError, Error).
int run_data_command(std::span<const std::string> args, std::ostream& out);

}  // namespace rn::data
