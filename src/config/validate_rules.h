// What the rules of validate.h are written with. Internal to config.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/run_config.h"
#include "config/validate.h"
#include "core/error.h"

namespace rn::config {

class Rules {
 public:
  // Adds the violation unless the rule holds.
  template <typename... Parts>
  void require(bool holds, std::vector<std::string> keys, const Parts&... message) {
    if (!holds) violations.push_back({std::move(keys), cat(message...)});
  }

  std::vector<Violation> violations;
};

// Those of run.mode: federated; adds nothing for another mode.
void check_federated(const RunConfig& config, Rules& rules);

}  // namespace rn::config
