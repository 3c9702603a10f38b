// Rules that span several keys.
#pragma once

#include <string>
#include <vector>

#include "config/run_config.h"

namespace rn::config {

struct Violation {
  std::vector<std::string> keys;  // all that the rule looks at; the first is the one to change
  std::string message;            // what is wrong, and the way out
};

// Everything that can be told without data, device or ranks. Single values are taken to be in range.
std::vector<Violation> find_violations(const RunConfig& config);

// Throws ConfigError with a line per violation. For configurations made in code; load_config has done it.
void validate(const RunConfig& config);

// What can be told only once the ranks are known. Throws ConfigError. REQUIRES: world_size >= 1.
void check_world(const RunConfig& config, int world_size);

}  // namespace rn::config
