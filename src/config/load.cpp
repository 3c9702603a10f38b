#include "config/load.h"

#include <algorithm>
#include <filesystem>

#include "config/expand.h"
#include "config/option_table.h"
#include "config/problems.h"
#include "config/scalar.h"
#include "config/suggest.h"
#include "config/text_file.h"
#include "config/validate.h"
#include "config/yaml_tree.h"

namespace rn::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestChain = 16;  // files that extend one another
constexpr const char* kExtends = "extends";

std::string join_names(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// "unknown key", with the nearest known key and what it takes, or with all that is known there.
std::string unknown_key(const std::string& key) {
  if (const auto near = nearest_key(key)) {
    const auto* option = find_option(*near);
    return cat("unknown key; did you mean '", *near, "'", option ? cat(" (", allowed_text(*option), ")") : "",
               "?");
  }
  std::vector<std::string> names;
  const auto section = key.substr(0, key.find('.'));
  if (key.find('.') != std::string::npos && find_section(section) != nullptr) {
    for (const auto& option : option_table()) {
      if (option.section == section) names.push_back(option.name);
    }
    return cat("unknown key; known in '", section, "': ", join_names(names));
  }
  for (const auto& known : sections()) names.push_back(known.name);
  return cat("unknown key; known at the top level: ", join_names(names), ", extends");
}

const char* noun(YamlNode::Kind kind) { return kind == YamlNode::Kind::kList ? "a list" : "a map"; }

// What values are read from: a file, or the command line.
struct Source {
  Origin::Kind kind = Origin::Kind::kFile;
  std::string file;

  std::string where(TextPosition at) const {
    if (kind == Origin::Kind::kCommandLine) return describe({.kind = kind});
    return at.line > 0 ? cat(file, ":", at.line, ":", at.column) : file;
  }
};

class Loader {
 public:
  void read_file(const std::string& path, Origin::Kind kind, const std::string& extended_at);
  void read_text(std::string text, const Source& source);
  void read_override(const std::string& argument);
  LoadedConfig finish();

 private:
  void apply_root(const YamlNode& root, const Source& source);
  void apply_base(const YamlNode& value, TextPosition at, const Source& source);
  void apply_section(const Section& section, const YamlNode& value, TextPosition key_at,
                     const Source& source);
  void apply_value(const Option& option, const YamlNode& value, TextPosition key_at, const Source& source);

  // Calls visit(name, value, position of the key) for every key of a map; says what is wrong with the keys
  // themselves.
  template <typename Visit>
  void for_each_key(const YamlNode& map, const std::string& prefix, const Source& source, const Visit& visit);

  LoadedConfig loaded_;
  Problems problems_;
  std::vector<fs::path> chain_;          // files being read, each extended by the one before
  std::vector<std::string> overridden_;  // keys given on the command line so far
};

template <typename Visit>
void Loader::for_each_key(const YamlNode& map, const std::string& prefix, const Source& source,
                          const Visit& visit) {
  std::map<std::string, TextPosition> seen;
  for (const auto& [key, value] : map.entries) {
    if (key.kind != YamlNode::Kind::kScalar || key.text.empty()) {
      problems_.add(source.where(key.at), prefix.substr(0, prefix.size() - (prefix.empty() ? 0 : 1)),
                    "a key must be a plain name");
      continue;
    }
    const auto [first, is_new] = seen.emplace(key.text, key.at);
    if (!is_new) {
      problems_.add(source.where(key.at), prefix + key.text,
                    cat("duplicate key; first given at line ", first->second.line));
      continue;
    }
    visit(key.text, value, key.at);
  }
}

void Loader::read_file(const std::string& path, Origin::Kind kind, const std::string& extended_at) {
  const Source source{kind, path};
  std::error_code error;
  const auto canonical = fs::weakly_canonical(path, error);
  if (std::find(chain_.begin(), chain_.end(), canonical) != chain_.end()) {
    problems_.add(extended_at, kExtends, cat(quote(path), " extends itself, directly or through others"));
    return;
  }
  if (chain_.size() >= kLongestChain) {
    problems_.add(extended_at, kExtends, cat("more than ", kLongestChain, " files extend one another"));
    return;
  }
  chain_.push_back(canonical);
  try {
    read_text(read_text_file(path), source);
  } catch (const TextError& problem) {
    problems_.add(extended_at.empty() ? path : extended_at, extended_at.empty() ? "" : kExtends,
                  extended_at.empty() ? problem.message : cat(quote(path), " ", problem.message));
  }
  chain_.pop_back();
}

void Loader::read_text(std::string text, const Source& source) {
  YamlNode root;
  try {
    root = parse_yaml(checked_text(std::move(text)));
  } catch (const TextError& problem) {
    problems_.add(source.where(problem.at), "", problem.message);
    return;
  }
  if (root.kind == YamlNode::Kind::kNull) {
    problems_.add(source.file, "",
                  "is empty; a configuration names at least one key, e.g. 'train: {epochs: 12}'");
  } else if (root.kind != YamlNode::Kind::kMap) {
    problems_.add(source.where(root.at), "",
                  "the file must hold 'section:' lines with keys, not a list or text");
  } else {
    apply_root(root, source);
  }
}

void Loader::apply_root(const YamlNode& root, const Source& source) {
  // The base comes first, wherever its line stands.
  for (const auto& [key, value] : root.entries) {
    if (key.kind == YamlNode::Kind::kScalar && key.text == kExtends) {
      apply_base(value, key.at, source);
      break;
    }
  }
  for_each_key(root, "", source, [&](const std::string& name, const YamlNode& value, TextPosition at) {
    if (name == kExtends) return;
    if (const auto* section = find_section(name)) {
      apply_section(*section, value, at, source);
    } else if (const auto* option = find_option(name)) {
      problems_.add(source.where(at), name,
                    cat("dotted keys are for the command line; in a file write '", option->section,
                        ":' with '", option->name, ":' indented below it"));
    } else {
      problems_.add(source.where(at), quote(name).size() == name.size() + 2 ? name : quote(name),
                    unknown_key(name));
    }
  });
}

void Loader::apply_base(const YamlNode& value, TextPosition at, const Source& source) {
  const auto where = source.where(value.kind == YamlNode::Kind::kNull ? at : value.at);
  if (source.kind == Origin::Kind::kCommandLine) {
    problems_.add(where, kExtends, "stands in a file, not on the command line");
    return;
  }
  if (value.kind != YamlNode::Kind::kScalar || value.text.empty()) {
    problems_.add(where, kExtends, "must name one file, relative to this one");
    return;
  }
  const auto expanded = expand_environment(value.text);
  if (!expanded.error.empty()) {
    problems_.add(where, kExtends, expanded.error);
    return;
  }
  const auto base = (fs::path(source.file).parent_path() / expanded.text).lexically_normal();
  read_file(base.string(), Origin::Kind::kBaseFile, where);
}

void Loader::apply_section(const Section& section, const YamlNode& value, TextPosition key_at,
                           const Source& source) {
  if (value.kind == YamlNode::Kind::kNull) return;  // all its keys commented out
  if (value.kind != YamlNode::Kind::kMap) {
    const auto at = value.at.line > 0 ? value.at : key_at;
    problems_.add(source.where(at), section.name, "must hold keys of its own, each on an indented line");
    return;
  }
  for_each_key(value, section.name + ".", source,
               [&](const std::string& name, const YamlNode& inner, TextPosition at) {
                 const auto key = section.name + "." + name;
                 if (const auto* option = find_option(key)) {
                   apply_value(*option, inner, at, source);
                 } else {
                   const bool plain = quote(name).size() == name.size() + 2;
                   problems_.add(source.where(at), plain ? key : quote(key), unknown_key(key));
                 }
               });
}

void Loader::apply_value(const Option& option, const YamlNode& value, TextPosition key_at,
                         const Source& source) {
  const auto key = option.key();
  const auto fail = [&](TextPosition at, const std::string& what) {
    problems_.add(source.where(at), key, what);
  };
  const auto allowed = cat("; allowed: ", allowed_text(option));
  if (value.kind == YamlNode::Kind::kNull) return fail(key_at, cat("has no value", allowed));
  if (value.kind != YamlNode::Kind::kScalar) {
    return fail(value.at, cat(noun(value.kind), " stands where one value is due", allowed));
  }
  const auto expanded = expand_environment(value.text);
  if (!expanded.error.empty()) return fail(value.at, expanded.error);
  if (!is_one_line(expanded.text)) {
    return fail(value.at, "must be one line of UTF-8 text without control characters");
  }
  const auto result = read_scalar(option, {expanded.text, value.quoted});
  if (!result.value) return fail(value.at, result.error);
  option.set(loaded_.config, *result.value);
  loaded_.origins[key] = {source.kind, source.file, value.at.line, value.at.column};
}

void Loader::read_override(const std::string& argument) {
  const Source source{Origin::Kind::kCommandLine, ""};
  const auto where = source.where({});
  const auto equals = argument.find('=');
  const auto key = argument.substr(0, equals);
  if (equals == std::string::npos || key.empty()) {
    problems_.add(where, "", cat(quote(argument), " is not key=value, e.g. optimizer.lr=0.1"));
    return;
  }
  if (std::find(overridden_.begin(), overridden_.end(), key) != overridden_.end()) {
    problems_.add(where, key, "duplicate key; given twice on the command line");
    return;
  }
  overridden_.push_back(key);

  const auto text = argument.substr(equals + 1);
  YamlNode value{.kind = YamlNode::Kind::kScalar};  // `run.dir=` is empty text
  if (!text.empty()) {
    try {
      value = parse_yaml(checked_text(text));
    } catch (const TextError& problem) {
      problems_.add(where, is_one_line(key) ? key : quote(key), problem.message);
      return;
    }
  }
  // The same shape as in a file, so that the same code reads it.
  const auto map_of = [](const std::string& name, YamlNode inner) {
    YamlNode map{.kind = YamlNode::Kind::kMap};
    map.entries.push_back({YamlNode{.kind = YamlNode::Kind::kScalar, .text = name}, std::move(inner)});
    return map;
  };
  const auto dot = key.find('.');
  if (dot == std::string::npos) {
    apply_root(map_of(key, std::move(value)), source);
  } else if (find_section(key.substr(0, dot)) == nullptr || dot + 1 == key.size()) {
    problems_.add(where, is_one_line(key) ? key : quote(key), unknown_key(key));
  } else {
    apply_root(map_of(key.substr(0, dot), map_of(key.substr(dot + 1), std::move(value))), source);
  }
}

LoadedConfig Loader::finish() {
  for (const auto& violation : find_violations(loaded_.config)) {
    // A key that is wrong by itself says nothing about the others.
    const auto& keys = violation.keys;
    if (std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return problems_.concerns(key); }))
      continue;
    // The first of the keys that the user wrote.
    std::string where;
    for (const auto& key : keys) {
      const auto origin = loaded_.origin(key);
      if (origin.kind == Origin::Kind::kDefault) continue;
      where = origin.kind == Origin::Kind::kCommandLine
                  ? describe(origin)
                  : cat(origin.file, ":", origin.line, ":", origin.column);
      break;
    }
    problems_.add(where, keys.front(), violation.message);
  }
  problems_.raise();
  return std::move(loaded_);
}

}  // namespace

std::string describe(const Origin& origin) {
  switch (origin.kind) {
    case Origin::Kind::kDefault:
      return "default";
    case Origin::Kind::kCommandLine:
      return "command line";
    default:
      return cat(origin.file, ":", origin.line, ":", origin.column,
                 origin.kind == Origin::Kind::kBaseFile ? " (extended)" : "");
  }
}

Origin LoadedConfig::origin(std::string_view key) const {
  const auto found = origins.find(key);
  return found == origins.end() ? Origin{} : found->second;
}

LoadedConfig load_config(const std::string& path, const std::vector<std::string>& overrides) {
  Loader loader;
  loader.read_file(path, Origin::Kind::kFile, "");
  for (const auto& argument : overrides) loader.read_override(argument);
  return loader.finish();
}

LoadedConfig load_config_text(const std::string& text, const std::string& label,
                              const std::vector<std::string>& overrides) {
  Loader loader;
  loader.read_text(text, {Origin::Kind::kFile, label});
  for (const auto& argument : overrides) loader.read_override(argument);
  return loader.finish();
}

}  // namespace rn::config
