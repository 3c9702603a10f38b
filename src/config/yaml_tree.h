// YAML text as a plain tree with positions. The only place that sees yaml-cpp.
//
// It is built from the parser's events rather than from YAML::Node, which drops duplicate keys silently and
// keeps no positions of keys. Anchors, aliases, tags and several documents are refused: nothing here can grow
// beyond its text.
#pragma once

#include <string>
#include <vector>

#include "config/text_file.h"

namespace rn::config {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };

  Kind kind = Kind::kNull;
  TextPosition at;
  std::string text;                // kScalar, as written, without quotes
  bool quoted = false;             // kScalar
  std::vector<YamlEntry> entries;  // kMap: duplicates included, in order
  std::vector<YamlNode> items;     // kList
};

struct YamlEntry {
  YamlNode key;
  YamlNode value;
};

inline constexpr int kDeepestYaml = 8;

// REQUIRES: `text` passed checked_text. kNull where it holds no document. Throws TextError.
YamlNode parse_yaml(const std::string& text);

}  // namespace rn::config
