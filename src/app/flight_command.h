// `rn_dist doctor --flight DIR`: what went wrong in a run that ended badly, from what its ranks left behind.
#pragma once

#include <ostream>
#include <string>

namespace rn::app {

// `run_dir`: a run folder, or its folder `flight`. Prints failure.json's message and the flight record in
// words. Throws DataError where there is no record, or a damaged one.
void explain_flight(const std::string& run_dir, std::ostream& out);

}  // namespace rn::app
