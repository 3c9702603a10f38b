// ${VAR} and ${VAR:-default} in values.
#pragma once

#include <string>
#include <string_view>

namespace rn::config {

struct Expansion {
  std::string text;
  std::string error;  // empty: good
};

// Replaces ${VAR} by the environment's value and ${VAR:-default} by it or, where VAR is unset or empty, by
// the default (any text without '}'). $${ stands for a literal ${. An unset VAR without a default is an
// error.
Expansion expand_environment(std::string_view text);

// The text that expand_environment turns back into `text`.
std::string escape_environment(std::string_view text);

}  // namespace rn::config
