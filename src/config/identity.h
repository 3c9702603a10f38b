// What makes two runs the same run: a run folder is continued only by a configuration of the same identity.
#pragma once

#include <string>
#include <vector>

#include "config/run_config.h"

namespace rn::config {

struct IdentityDifference {
  std::string key;
  std::string a;  // as written in YAML
  std::string b;
};

// Every identity key whose values differ, in the table's order. Compare configurations after resolve_batch:
// otherwise a batch per rank cannot be told from the same batch given for all ranks. The rank count is no
// part of it.
std::vector<IdentityDifference> identity_differences(const RunConfig& a, const RunConfig& b);

}  // namespace rn::config
