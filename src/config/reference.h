// The option table for people: --help and the reference page docs/configuration.md.
#pragma once

#include <string>

namespace rn::config {

// All options by section, at most 110 columns wide, for a terminal.
std::string help_text();

// docs/configuration.md. A test compares the page in the repository with this; `rn_dist
// --print-config-reference` writes it.
std::string reference_markdown();

}  // namespace rn::config
