#include "config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>

#include "core/error.h"

namespace rn::config {
namespace {

TextPosition position(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

constexpr const char* kNoAnchors =
    "anchors and aliases (&name, *name) are not supported; use 'extends' or ${VAR}";

class TreeBuilder : public YAML::EventHandler {
 public:
  YamlNode take_root() { return std::move(root_); }

  // Where the innermost list or map begins that is not closed yet.
  std::optional<TextPosition> innermost_open() const {
    return open_.empty() ? std::nullopt : std::optional(open_.back().node.at);
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw TextError{position(mark), "a second document ('---'); one file holds one"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    add({.kind = YamlNode::Kind::kNull, .at = position(mark)});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark, 1); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    if (!tag.empty() && tag != "?" && tag != "!") refuse_tag(mark);
    add({.kind = YamlNode::Kind::kScalar, .at = position(mark), .text = value, .quoted = tag == "!"});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    std::optional<YamlNode> key;  // of a map: the key whose value comes next
  };

  static void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      throw TextError{position(mark), kNoAnchors};
    }
  }
  static void refuse_tag(const YAML::Mark& mark) {
    throw TextError{position(mark), "tags (!name) are not supported; write the plain value"};
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_anchor(mark, anchor);
    if (!tag.empty() && tag != "?") refuse_tag(mark);
    if (open_.size() >= kDeepestYaml)
      throw TextError{position(mark), cat("nested deeper than ", kDeepestYaml)};
    open_.push_back({{.kind = kind, .at = position(mark)}, std::nullopt});
  }

  void close() {
    auto node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  void add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kList) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key) {
      parent.key = std::move(node);
    } else {
      parent.node.entries.push_back({std::move(*parent.key), std::move(node)});
      parent.key.reset();
    }
  }

  YamlNode root_;
  std::vector<Open> open_;
  int documents_ = 0;
};

}  // namespace

YamlNode parse_yaml(const std::string& text) {
  TreeBuilder builder;
  try {
    std::istringstream in(text);
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    if (error.msg == YAML::ErrorMsg::UNKNOWN_ANCHOR) throw TextError{position(error.mark), kNoAnchors};
    auto at = position(error.mark);
    // Of a bracket that is never closed yaml-cpp marks the end of the text, or its beginning: the bracket is
    // more use.
    const bool unclosed =
        error.msg == YAML::ErrorMsg::END_OF_MAP_FLOW || error.msg == YAML::ErrorMsg::END_OF_SEQ_FLOW;
    if (unclosed) at = builder.innermost_open().value_or(at);
    throw TextError{at, cat("not valid YAML: ", error.msg)};
  }
  return builder.take_root();
}

}  // namespace rn::config
