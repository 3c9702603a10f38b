// Soft limits of the process that are too low for a run, raised as far as the system lets them.
#pragma once

#include <string>

namespace rn::dist {

// Open files: raises the soft limit to the hard one where it is below what a run may need. What was done, in
// one line; empty where nothing was needed.
std::string raise_soft_limits();

// Why the limits do not suffice even so, in words with the cure; empty where they do.
std::string limits_problem();

}  // namespace rn::dist
