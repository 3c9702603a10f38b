// `rn_dist CONFIG.yaml [key=value ...] [--dry-run[=RANKS] | --print-config | --help | --version]`. The
// subcommands (eval, data, doctor) belong to the app, which looks at the first argument before it comes here.
#pragma once

#include <string>
#include <vector>

#include "config/load.h"

namespace rn::config {

struct Command {
  enum class Kind {
    kRun,
    kDryRun,
    kPrintConfig,
    kPrintReference,  // --print-config-reference: docs/configuration.md
    kPrintSchema,     // --print-config-schema: docs/config.schema.json
    kHelp,
    kVersion,
  };
  Kind kind = Kind::kRun;
  std::string config_path;             // of kRun, kDryRun, kPrintConfig
  std::vector<std::string> overrides;  // "key=value", as given
  int ranks = 0;                       // of kDryRun: --dry-run=RANKS; 0: as many as were started
};

// `arguments` without the program's name. Options and key=value may stand anywhere; what follows -- is never
// an option. Throws ConfigError: no file, two files, an unknown option, two commands.
Command parse_command(const std::vector<std::string>& arguments);

// The configuration that a command names. Throws ConfigError.
inline LoadedConfig load_config(const Command& command) {
  return load_config(command.config_path, command.overrides);
}

}  // namespace rn::config
