#include "config/dump.h"
#include "config/load.h"
#include "core/error.h"
#include "targets.h"

namespace rn::fuzz {

// What is accepted is dumped and read again without a difference.
void config(Input input) {
  const std::string text = text_of(input);
  // Other files are the file system's business, as are the variables of this process.
  if (text.find("extends") != std::string::npos || text.find("${") != std::string::npos) return;
  try {
    const auto loaded = config::load_config_text(text, "x.yaml");
    const std::string dumped = config::dump_yaml(loaded.config);
    expect(config::dump_yaml(config::load_config_text(dumped, "copy.yaml").config) == dumped,
           "the configuration changed");
  } catch (const ConfigError&) {
  }
}

}  // namespace rn::fuzz
