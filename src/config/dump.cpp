#include "config/dump.h"

#include <algorithm>
#include <functional>

#include "config/expand.h"
#include "config/option_table.h"

namespace rn::config {
namespace {

// Plain words, paths and names; everything else is quoted, and so is what a YAML reader takes for another
// type.
bool is_plain_text(const std::string& text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !(letter(text[0]) || text[0] == '/')) return false;
  const bool tame = std::all_of(text.begin(), text.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' || c == '/';
  });
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  static const std::vector<std::string> kWords = {"true", "false", "yes", "no",  "on",
                                                  "off",  "y",     "n",   "null"};
  return tame && std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

std::string double_quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

nlohmann::json json_value(const Option& option, const Value& value) {
  // What is a boolean in YAML is one in JSON: `deterministic: false`.
  if (option.type == ValueType::kChoice) {
    const auto& name = std::get<std::string>(value);
    if (name == "true" || name == "false") return name == "true";
  }
  return std::visit([](const auto& held) -> nlohmann::json { return held; }, value);
}

// Every key by section, each line finished by `comment`.
std::string write(const RunConfig& config, const std::function<std::string(const Option&)>& comment) {
  constexpr std::size_t kCommentColumn = 44;
  std::string out;
  for (const auto& section : sections()) {
    out += section.name + ":\n";
    for (const auto& option : option_table()) {
      if (option.section != section.name) continue;
      std::string line = "  " + option.name + ": " + yaml_value(option, option.get(config));
      if (const auto text = comment(option); !text.empty()) {
        line.resize(std::max(line.size() + 2, kCommentColumn), ' ');
        line += "# " + text;
      }
      out += line + "\n";
    }
  }
  return out;
}

}  // namespace

std::string yaml_value(const Option& option, const Value& value) {
  if (option.type != ValueType::kText) return format_value(value);
  const auto text = escape_environment(std::get<std::string>(value));
  return is_plain_text(text) ? text : double_quoted(text);
}

std::string dump_yaml(const RunConfig& config) {
  return write(config, [](const Option&) { return std::string(); });
}

std::string print_config(const LoadedConfig& loaded) {
  return write(loaded.config, [&](const Option& option) { return describe(loaded.origin(option.key())); });
}

nlohmann::json to_json(const RunConfig& config) {
  nlohmann::json json;
  for (const auto& option : option_table()) {
    json[option.section][option.name] = json_value(option, option.get(config));
  }
  return json;
}

}  // namespace rn::config
