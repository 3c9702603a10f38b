// What this program was built from and runs with.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "dist/session.h"

namespace rn::app {

std::string version_line();  // one line: version, git state, flavour, LibTorch
std::string version_text();  // --version: all libraries
// For run_start: devices, host, libraries, world size.
nlohmann::json environment_json(dist::Session& session);

}  // namespace rn::app
