#include "config/reference.h"

#include <algorithm>
#include <sstream>

#include "config/dump.h"
#include "config/option_table.h"
#include "core/error.h"

namespace rn::config {
namespace {

constexpr std::size_t kWidth = 110;

// `text` broken at spaces, each line indented.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::string out, line;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > kWidth) {
      out += std::string(indent, ' ') + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return out + std::string(indent, ' ') + line + "\n";
}

std::string default_text(const Option& option) { return yaml_value(option, default_value(option)); }

// | would end the cell of a table.
std::string cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

constexpr const char* kIntroduction = R"(# Configuration

<!-- Made from the option table (src/config): `rn_dist --print-config-reference > docs/configuration.md` -->

A run is described by one YAML file, every value of which can be changed on the command line:

```
rn_dist configs/train.yaml optimizer.lr=0.1 run.name=slow
```

- Precedence: default, then file, then command line. `rn_dist FILE --print-config` shows every value and its origin.
- `extends: base.yaml` at the top of a file reads that file first, relative to the file that names it.
- `${VAR}` in a value is the environment's; `${VAR:-default}` does without it; `$${` is a literal `${`.
- Unknown, duplicate, ill-typed and out-of-range keys are errors. All are reported at once, each with file, line,
  column, the nearest known key and what is allowed.
- Values are strict YAML 1.2: booleans are `true` and `false`, numbers have no leading zeros, quoted text is text.
  Anchors, aliases and tags are not supported.
- Editors check a file as you type with the JSON Schema `docs/config.schema.json`.

Keys marked **i** are part of the identity of a run: a run folder is continued only by a configuration that agrees in
all of them. The rank count, `train.threads` and where the data lie are no part of it.
)";

}  // namespace

std::string help_text() {
  std::string out;
  for (const auto& section : sections()) {
    out += cat(section.name, ": ", section.help, "\n");
    for (const auto& option : option_table()) {
      if (option.section != section.name) continue;
      out += cat("  ", option.key(), "=", default_text(option), "\n");
      out += wrapped(cat(option.help, " [", allowed_text(option), "]"), 6);
    }
    out += "\n";
  }
  return out;
}

std::string reference_markdown() {
  std::string out = kIntroduction;
  for (const auto& section : sections()) {
    out += cat("\n## ", section.name, "\n\n", section.help,
               "\n\n| Key | Default | Allowed | |\n|---|---|---|---|\n");
    for (const auto& option : option_table()) {
      if (option.section != section.name) continue;
      out += cat("| `", option.key(), "` | `", default_text(option), "` | ", cell(allowed_text(option)),
                 " | ", cell(option.help), option.identity ? " **i**" : "", " |\n");
    }
  }
  return out;
}

}  // namespace rn::config
