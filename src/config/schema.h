// The option table for machines: a JSON Schema (draft 2020-12) for editors and checkers.
#pragma once

#include <nlohmann/json.hpp>

namespace rn::config {

// The schema of a configuration file. Values that come from ${VAR} pass as text, since only a run can tell
// what they hold. docs/config.schema.json; `rn_dist --print-config-schema` writes it.
nlohmann::ordered_json json_schema();

}  // namespace rn::config
