// The whole configuration written out: for the run folder, the records and --print-config.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "config/load.h"
#include "config/option.h"
#include "config/run_config.h"

namespace rn::config {

// YAML with every key, default or not; load_config reads it back to the same struct. config.resolved.yaml.
std::string dump_yaml(const RunConfig& config);

// {"optimizer": {"lr": 0.1, ...}, ...} with every key, for records.
nlohmann::json to_json(const RunConfig& config);

// dump_yaml with the origin of each value as a comment: "  lr: 0.2   # configs/train.yaml:9:7".
std::string print_config(const LoadedConfig& loaded);

// One value as YAML: text is quoted where a reader could take it for something else.
std::string yaml_value(const Option& option, const Value& value);

}  // namespace rn::config
