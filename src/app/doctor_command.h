// `rn_dist doctor`: what this machine can do and what stands in the way, with the cure for each refusal.
#pragma once

#include <ostream>
#include <span>
#include <string>

namespace rn::app {

// Prints one line per finding; alone or under a launcher. Returns 0, or 3 where a run would be refused. With
// --flight RUN_DIR it tells what went wrong in a run instead (flight_command.h).
int run_doctor_command(std::span<const std::string> args, std::ostream& out);

}  // namespace rn::app
