#include "config/option.h"

#include <array>
#include <charconv>
#include <cmath>

#include "core/error.h"

namespace rn::config {
namespace {

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string range_text(const std::string& noun, const Range& range) {
  const bool has_min = std::isfinite(range.min), has_max = std::isfinite(range.max);
  const auto min = format_number(range.min), max = format_number(range.max);
  if (has_min && has_max) {
    return cat(noun, range.min_excluded ? " above " : " from ", min,
               range.max_excluded ? (range.min_excluded ? " and below " : " to below ")
                                  : (range.min_excluded ? " and at most " : " to "),
               max);
  }
  if (has_min) return cat(noun, range.min_excluded ? " above " : " of at least ", min);
  if (has_max) return cat(noun, range.max_excluded ? " below " : " of at most ", max);
  return noun;
}

}  // namespace

bool Range::contains(double value) const {
  return (min_excluded ? value > min : value >= min) && (max_excluded ? value < max : value <= max);
}

std::string format_number(double value) {
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-6 && size < 1e15);
  std::array<char, 64> buffer;
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format).ptr;
  std::string text(buffer.data(), end);
  // YAML 1.1 readers take 1e-09 for text; 1.0e-09 is a number everywhere.
  if (!plain && std::isfinite(value) && text.find('.') == std::string::npos)
    text.insert(text.find('e'), ".0");
  return text;
}

std::string format_value(const Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&value)) return format_number(*number);
  const auto& text = std::get<std::string>(value);
  return text.empty() ? "\"\"" : text;
}

std::string allowed_text(const Option& option) {
  switch (option.type) {
    case ValueType::kBool:
      return "true, false";
    case ValueType::kInteger:
      return range_text("a whole number", option.range);
    case ValueType::kNumber:
      return range_text("a number", option.range);
    case ValueType::kDuration:
      return "seconds or [hours:]minutes:seconds";
    case ValueType::kText:
      return "text";
    case ValueType::kChoice:
      return join(option.choices);
  }
  return "";
}

}  // namespace rn::config
