#include "config/schema.h"

#include <cmath>

#include "config/option_table.h"

namespace rn::config {
namespace {

using Json = nlohmann::ordered_json;

// Integral bounds stay integers in the schema: 1, not 1.0.
Json number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return static_cast<std::int64_t>(value);
  return value;
}

void add_range(Json& schema, const Range& range) {
  if (std::isfinite(range.min))
    schema[range.min_excluded ? "exclusiveMinimum" : "minimum"] = number(range.min);
  if (std::isfinite(range.max))
    schema[range.max_excluded ? "exclusiveMaximum" : "maximum"] = number(range.max);
}

Json choice(const std::string& name) {
  if (name == "true" || name == "false") return name == "true";
  return name;
}

Json default_json(const Option& option) {
  const auto value = default_value(option);
  if (option.type == ValueType::kChoice) return choice(std::get<std::string>(value));
  if (const auto* held = std::get_if<double>(&value)) return number(*held);
  return std::visit([](const auto& held) -> Json { return held; }, value);
}

Json value_schema(const Option& option) {
  Json schema;
  switch (option.type) {
    case ValueType::kBool:
      schema["type"] = "boolean";
      break;
    case ValueType::kInteger:
      schema["type"] = "integer";
      add_range(schema, option.range);
      break;
    case ValueType::kNumber:
      schema["type"] = "number";
      add_range(schema, option.range);
      break;
    case ValueType::kDuration:
      schema["type"] = {"number", "string"};
      schema["minimum"] = 0;
      schema["pattern"] = R"(^([0-9]+(\.[0-9]*)?|([0-9]{1,6}:)?[0-9]{1,6}:[0-5][0-9])$)";
      break;
    case ValueType::kText:
      schema["type"] = {"string", "number", "boolean"};  // run.name: 7 is text too
      break;
    case ValueType::kChoice:
      for (const auto& name : option.choices) schema["enum"].push_back(choice(name));
      break;
  }
  return schema;
}

Json option_schema(const Option& option) {
  Json schema;
  schema["description"] = option.help;
  schema["default"] = default_json(option);
  auto value = value_schema(option);
  if (option.type == ValueType::kText) {
    schema.update(value);
  } else {
    schema["anyOf"] = {std::move(value), {{"type", "string"}, {"pattern", R"(\$\{)"}}};
  }
  return schema;
}

}  // namespace

nlohmann::ordered_json json_schema() {
  Json schema;
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "rn_dist configuration";
  schema["type"] = "object";
  schema["minProperties"] = 1;
  schema["additionalProperties"] = false;
  auto& properties = schema["properties"];
  properties["extends"] = {{"description", "A configuration file that is read first, relative to this one."},
                           {"type", "string"},
                           {"minLength", 1}};
  for (const auto& section : sections()) {
    Json inner;
    inner["description"] = section.help;
    inner["type"] = {"object", "null"};
    inner["additionalProperties"] = false;
    for (const auto& option : option_table()) {
      if (option.section == section.name) inner["properties"][option.name] = option_schema(option);
    }
    properties[section.name] = std::move(inner);
  }
  return schema;
}

}  // namespace rn::config
