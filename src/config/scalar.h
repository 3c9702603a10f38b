// Strict reading of one value: YAML 1.2's plain numbers and true/false, nothing that a reader could take two
// ways.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/option.h"

namespace rn::config {

struct Scalar {
  std::string text;     // ${VAR} already expanded
  bool quoted = false;  // quoted text is text, never a number or a boolean
};

// The value, or why it is none. Exactly one of the two is set.
struct ScalarResult {
  std::optional<Value> value;
  std::string error;  // "'010' has a leading zero, which some readers take as octal; write 10; allowed: ..."
};

// Reads `scalar` as a value of `option`: its type, its range, its choices.
ScalarResult read_scalar(const Option& option, const Scalar& scalar);

// Seconds from "90", "1.5", "minutes:seconds" or "hours:minutes:seconds"; nullopt for anything else.
std::optional<double> parse_duration(std::string_view text);

}  // namespace rn::config
