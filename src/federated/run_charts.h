// The curves of a federated run, drawn from its metrics.jsonl: so a resumed run shows all its rounds.
#pragma once

#include <string>
#include <vector>

#include "io/file_system.h"

namespace rn::federated {

// Draws what <run_dir>/metrics.jsonl holds of rounds and evaluations into <run_dir>/plots:
//   accuracy.svg         top-1 of each evaluated split per round
//   loss.svg             loss of the training and of each evaluated split per round
//   simulated_time.svg   top-1 over simulated time; only where rounds take any
// Lines that are no records are passed over. Returns the names of the files. Throws Error where reading or
// writing fails: a report ends no run, so callers warn.
std::vector<std::string> write_run_charts(io::FileSystem& files, const std::string& run_dir);

}  // namespace rn::federated
