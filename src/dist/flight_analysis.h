// What went wrong, in words, from the flight records of a run.
#pragma once

#include <string>

#include "dist/flight_log.h"

namespace rn::dist {

// A few lines: which collectives did not match, or which rank was behind, in which collective, who waited for
// it and since when; ranks that ended badly, were gone or stopped; ranks without a record; which rank came
// last over the recorded collectives; and a line per rank. Pure.
std::string explain(const FlightLog& log);

}  // namespace rn::dist
