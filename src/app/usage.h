// The commands of the program, for --help and for a call without words.
#pragma once

#include <string>

namespace rn::app {

std::string usage_text();

}  // namespace rn::app
