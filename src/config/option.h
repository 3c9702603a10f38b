// One configuration key: everything that the reader, the help, the schema, the dump and the identity need to
// know.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/run_config.h"

namespace rn::config {

// Choices are held by name, durations in seconds.
using Value = std::variant<bool, std::int64_t, double, std::string>;

enum class ValueType { kBool, kInteger, kNumber, kDuration, kText, kChoice };

// Which numbers are allowed. An infinite bound is no bound.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_excluded = false;
  bool max_excluded = false;

  bool contains(double value) const;
};
inline Range at_least(double min) { return {.min = min}; }
inline Range above(double min) { return {.min = min, .min_excluded = true}; }
inline Range between(double min, double max) { return {.min = min, .max = max}; }

struct Option {
  std::string section;  // top-level key
  std::string name;     // key inside the section
  std::string help;     // one sentence
  ValueType type = ValueType::kText;
  Range range;                       // kInteger, kNumber, kDuration
  std::vector<std::string> choices;  // kChoice
  bool identity = false;             // part of what makes two runs the same run (see identity.h)

  // The typed access to the field. `set` takes a value of this option's type that `range` and `choices`
  // allow.
  std::function<Value(const RunConfig&)> get;
  std::function<void(RunConfig&, const Value&)> set;

  std::string key() const { return section + "." + name; }
};

// What may be written, in words: "a number above 0", "true, false", "none, random, alternating".
std::string allowed_text(const Option& option);

// Shortest decimal text that reads back to the same double, in a form that YAML 1.1 readers take for a number
// too.
std::string format_number(double value);

// A value in words for messages: text as it is, an empty one as "".
std::string format_value(const Value& value);

}  // namespace rn::config
