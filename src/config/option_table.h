// The one table of all options. The reader, the command line, --help, the reference page, the JSON Schema,
// the dump and the identity of a run are all made from it: a new option is one line in options_run.cpp or
// options_train.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/option.h"

namespace rn::config {

struct Section {
  std::string name;  // top-level key
  std::string help;  // one sentence
};

// Constant after the first call; safe from any thread.
const std::vector<Option>& option_table();
const std::vector<Section>& sections();

// nullptr where there is none.
const Option* find_option(std::string_view key);  // "optimizer.lr"
const Section* find_section(std::string_view name);

// The value that the structs start with.
Value default_value(const Option& option);

}  // namespace rn::config
