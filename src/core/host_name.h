// The name of this machine, as records and reports give it.
#pragma once

#include <string>

namespace rn {

std::string host_name();  // "?" where the system gives none

}  // namespace rn
