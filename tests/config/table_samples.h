// A value of every option that differs from its default: tests over the whole table need no change for a new
// option.
#pragma once

#include <optional>
#include <vector>

#include "config/option_table.h"
#include "config/validate.h"

namespace rn::config::testing_support {

// The default configuration with that one value.
inline RunConfig with(const Option& option, const Value& value) {
  RunConfig config;
  option.set(config, value);
  return config;
}

// nullopt only for a choice of one.
inline std::optional<Value> other_value(const Option& option) {
  std::vector<Value> candidates;
  switch (option.type) {
    case ValueType::kBool:
      candidates = {true, false};
      break;
    case ValueType::kInteger:
      for (const std::int64_t value : {1, 2, 3, 7, 16}) candidates.emplace_back(value);
      break;
    case ValueType::kNumber:
    case ValueType::kDuration:
      candidates = {1.0 / 3, 0.7, 1.5, 2.0, 1e-7, 1e16};
      break;
    case ValueType::kText:
      // All that YAML, expansion and JSON could stumble over; simple names for keys with rules of their own.
      candidates = {std::string("/a b/\"c\" \\d ${X} $${Y} #e: é"), std::string("a b: #c")};
      break;
    case ValueType::kChoice:
      for (const auto& name : option.choices) candidates.push_back(name);
      break;
  }
  for (const auto& value : candidates) {
    if (value == default_value(option)) continue;
    const auto* integer = std::get_if<std::int64_t>(&value);
    const auto* number = std::get_if<double>(&value);
    if (integer != nullptr && !option.range.contains(static_cast<double>(*integer))) continue;
    if (number != nullptr && !option.range.contains(*number)) continue;
    if (find_violations(with(option, value)).empty()) return value;
  }
  return std::nullopt;
}

// Every option with its value; options that allow only one value are left out.
inline std::vector<std::pair<const Option*, Value>> other_values() {
  std::vector<std::pair<const Option*, Value>> all;
  for (const auto& option : option_table()) {
    if (option.choices.size() == 1) continue;
    if (const auto value = other_value(option)) all.emplace_back(&option, *value);
  }
  return all;
}

}  // namespace rn::config::testing_support
