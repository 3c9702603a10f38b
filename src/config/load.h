// Reads a run's configuration: defaults, then the file (what it extends first), then the command line.
//
// All that is wrong is found in one pass and thrown as one ConfigError with a line per problem:
//   configs/a.yaml:3:7: optimizer.lrr: unknown key; did you mean 'optimizer.lr' (a number of at least 0)?
//   command line: train.epochs: 'many' is not a number; allowed: a number above 0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.h"

namespace rn::config {

// Where a value comes from.
struct Origin {
  enum class Kind {
    kDefault,
    kFile,
    kBaseFile,
    kCommandLine
  };  // kBaseFile: a file that the named one extends
  Kind kind = Kind::kDefault;
  std::string file;  // of kFile and kBaseFile
  int line = 0;      // from 1
  int column = 0;    // from 1, in bytes
};

// "default", "command line", "a.yaml:3:7", "base.yaml:3:7 (extended)".
std::string describe(const Origin& origin);

struct LoadedConfig {
  RunConfig config;
  std::map<std::string, Origin, std::less<>> origins;  // by full key; keys at their default are absent

  Origin origin(std::string_view key) const;
};

// `overrides` are "key=value" with dotted keys and values in YAML. Checks single values and the rules that
// span keys (validate.h). Throws ConfigError; needs neither MPI nor a device.
LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides = {});

// The same from text; `label` stands for the file's name, also as what `extends` is relative to. Reads what
// dump.h writes, YAML and JSON alike.
LoadedConfig load_config_text(const std::string& text, const std::string& label,
                              const std::vector<std::string>& overrides = {});

}  // namespace rn::config
