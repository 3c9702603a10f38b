// trace.json: the traces of all ranks on rank 0's clock, in Chrome's trace event format, which Perfetto
// (https://ui.perfetto.dev) and chrome://tracing open. A process per rank, a thread per lane, microseconds
// since the first span.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "report/trace.h"

namespace rn::report {

// Collective, on the host's communicator. What all ranks recorded as one document, on every rank.
nlohmann::json gather_trace(const std::vector<Trace::Event>& events, Communicator& communicator);

// Collective. Rank 0 writes run_dir/trace.json. A file that cannot be written is warned about.
void write_trace(const std::vector<Trace::Event>& events, Communicator& communicator,
                 const std::string& run_dir);

}  // namespace rn::report
