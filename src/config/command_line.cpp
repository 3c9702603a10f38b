#include "config/command_line.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "config/problems.h"
#include "config/suggest.h"

namespace rn::config {
namespace {

constexpr std::string_view kDryRunFor = "--dry-run=";
constexpr int kMostRanks = 1'000'000;

const std::vector<std::pair<std::string, Command::Kind>>& flags() {
  using Kind = Command::Kind;
  static const std::vector<std::pair<std::string, Kind>> all = {
      {"--dry-run", Kind::kDryRun},
      {"--print-config", Kind::kPrintConfig},
      {"--help", Kind::kHelp},
      {"-h", Kind::kHelp},
      {"--version", Kind::kVersion},
      {"--print-config-reference", Kind::kPrintReference},
      {"--print-config-schema", Kind::kPrintSchema},
  };
  return all;
}

std::optional<Command::Kind> find_flag(const std::string& argument) {
  for (const auto& [name, kind] : flags()) {
    if (name == argument) return kind;
  }
  return std::nullopt;
}

int read_ranks(const std::string& text, Problems& problems) {
  int ranks = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ranks);
  if (error != std::errc() || end != text.data() + text.size() || ranks < 1 || ranks > kMostRanks) {
    problems.add("command line", "",
                 cat("--dry-run takes a number of ranks from 1 to ", kMostRanks, ", not ", quote(text)));
  }
  return ranks;
}

// key=value; a path with '=' in it is one when written with a '/'.
bool is_override(const std::string& argument) {
  const auto equals = argument.find('=');
  return equals != std::string::npos && argument.substr(0, equals).find('/') == std::string::npos;
}

bool takes_config(Command::Kind kind) {
  return kind == Command::Kind::kRun || kind == Command::Kind::kDryRun || kind == Command::Kind::kPrintConfig;
}

std::string unknown_option(const std::string& argument) {
  std::vector<std::string> names;
  for (const auto& entry : flags()) names.push_back(entry.first);
  const auto equals = argument.find('=');
  if (equals != std::string::npos && argument.find('.') < equals) {
    const auto bare = argument.substr(std::min(argument.find_first_not_of('-'), argument.size()));
    return cat("unknown option ", quote(argument), "; write ", quote(bare), " to set a key");
  }
  const auto near = nearest(argument, names);
  return cat("unknown option ", quote(argument), near ? cat("; did you mean ", *near, "?") : "",
             "; known: --dry-run, --print-config, --help, --version");
}

}  // namespace

Command parse_command(const std::vector<std::string>& arguments) {
  Command command;
  Problems problems;
  std::string chosen;  // the option that decided the kind
  bool options_end = false;
  for (const auto& argument : arguments) {
    if (argument.empty()) {
      problems.add("command line", "", "an empty word; is a variable of the shell not set?");
    } else if (!options_end && argument == "--") {
      options_end = true;
    } else if (!options_end && argument.size() > 1 && argument[0] == '-') {
      const bool names_ranks = argument.starts_with(kDryRunFor);
      const auto kind = names_ranks ? Command::Kind::kDryRun : find_flag(argument);
      if (names_ranks) command.ranks = read_ranks(argument.substr(kDryRunFor.size()), problems);
      if (!kind) {
        problems.add("command line", "", unknown_option(argument));
      } else if (!chosen.empty() && *kind != command.kind) {
        problems.add("command line", "", cat(chosen, " and ", argument, " exclude each other"));
      } else {
        command.kind = *kind;
        chosen = argument;
      }
    } else if (is_override(argument)) {
      command.overrides.push_back(argument);
    } else if (command.config_path.empty()) {
      command.config_path = argument;
    } else {
      problems.add("command line", "",
                   cat("a second configuration file ", quote(argument), " after ", quote(command.config_path),
                       "; changes are given as key=value"));
    }
  }
  if (problems.empty() && takes_config(command.kind) && command.config_path.empty()) {
    problems.add("command line", "",
                 "no configuration file; usage: rn_dist CONFIG.yaml [key=value ...], or --help");
  }
  problems.raise();
  return command;
}

}  // namespace rn::config
