#include "config/scalar.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "config/suggest.h"
#include "core/error.h"

namespace rn::config {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  return text;
}

// [-+]? digits
bool looks_integer(std::string_view text) { return all_digits(without_sign(text)); }

// YAML 1.2 core schema: [-+]? ( \. digits | digits ( \. digits* )? ) ( [eE] [-+]? digits )?
bool looks_number(std::string_view text) {
  text = without_sign(text);
  const auto e = text.find_first_of("eE");
  if (e != std::string_view::npos) {
    if (!all_digits(without_sign(text.substr(e + 1)))) return false;
    text = text.substr(0, e);
  }
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return all_digits(text);
  const auto whole = text.substr(0, dot), fraction = text.substr(dot + 1);
  return (whole.empty() || all_digits(whole)) && (fraction.empty() || all_digits(fraction)) &&
         !(whole.empty() && fraction.empty());
}

// 010 is 8 in YAML 1.1 and 10 in YAML 1.2: refused rather than guessed.
bool has_leading_zero(std::string_view text) {
  text = without_sign(text);
  return text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

std::string without_leading_zeros(std::string_view text) {
  std::string sign = !text.empty() && text[0] == '-' ? "-" : "";
  text = without_sign(text);
  while (text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9') text.remove_prefix(1);
  return sign + std::string(text);
}

std::string_view without_plus(std::string_view text) {
  return !text.empty() && text[0] == '+' ? text.substr(1) : text;
}

struct Number {
  double value = 0;
  bool overflow = false;
};

// REQUIRES: looks_number(text).
Number to_double(std::string_view text) {
  text = without_plus(text);
  Number number;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number.value);
  if (result.ec == std::errc::result_out_of_range) {
    // from_chars leaves the value alone for both ends of the range: too small is zero, too large has no
    // value.
    const auto exponent = text.find_first_of("eE");
    number.overflow = exponent == std::string_view::npos || text[exponent + 1] != '-';
    number.value = 0;
  }
  return number;
}

ScalarResult fail(const Option& option, const std::string& why) {
  return {std::nullopt, cat(why, "; allowed: ", allowed_text(option))};
}

ScalarResult out_of_range(const Option& option, const std::string& text) {
  return fail(option, cat(quote(text), " is out of range"));
}

ScalarResult read_bool(const Option& option, const std::string& text) {
  if (text == "true") return {true, ""};
  if (text == "false") return {false, ""};
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const bool means_true = lower == "yes" || lower == "on" || lower == "y" || lower == "1" || lower == "true";
  const bool means_false =
      lower == "no" || lower == "off" || lower == "n" || lower == "0" || lower == "false";
  const auto hint = means_true ? "; write true" : means_false ? "; write false" : "";
  return fail(option, cat(quote(text), " is not a boolean", hint));
}

ScalarResult read_integer(const Option& option, const std::string& text) {
  if (!looks_integer(text)) {
    std::string hint;
    if (looks_number(text)) {
      const double number = to_double(text).value;
      if (number == std::floor(number) && std::abs(number) < 1e15) hint = "; write " + format_number(number);
    }
    return fail(option, cat(quote(text), " is not a whole number", hint));
  }
  if (has_leading_zero(text)) {
    return fail(option, cat(quote(text), " has a leading zero, which some readers take for octal; write ",
                            without_leading_zeros(text)));
  }
  const auto digits = without_plus(text);
  std::int64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc() || !option.range.contains(static_cast<double>(value))) {
    return out_of_range(option, text);
  }
  return {value, ""};
}

ScalarResult read_number(const Option& option, const std::string& text) {
  if (!looks_number(text)) return fail(option, cat(quote(text), " is not a number"));
  if (has_leading_zero(text)) {
    return fail(option, cat(quote(text), " has a leading zero; write ", without_leading_zeros(text)));
  }
  const auto number = to_double(text);
  if (number.overflow || !option.range.contains(number.value)) return out_of_range(option, text);
  return {number.value, ""};
}

ScalarResult read_choice(const Option& option, const std::string& text) {
  const auto& choices = option.choices;
  if (std::find(choices.begin(), choices.end(), text) != choices.end()) return {text, ""};
  const auto near = nearest(text, choices);
  return fail(option,
              cat(quote(text), " is not known", near ? cat("; did you mean ", quote(*near), "?") : ""));
}

const char* type_noun(ValueType type) {
  switch (type) {
    case ValueType::kBool:
      return "a boolean";
    case ValueType::kInteger:
      return "a whole number";
    default:
      return "a number";
  }
}

}  // namespace

std::optional<double> parse_duration(std::string_view text) {
  if (text.find(':') == std::string_view::npos) {
    if (!looks_number(text) || has_leading_zero(text)) return std::nullopt;
    const auto number = to_double(text);
    return number.overflow ? std::nullopt : std::optional(number.value);
  }
  double seconds = 0;
  int fields = 0;
  while (true) {
    const auto colon = text.find(':');
    const auto field = text.substr(0, colon);
    int value = 0;
    // Only the first field counts on beyond 59, as in "90:00".
    const bool good = all_digits(field) && field.size() <= 6 &&
                      std::from_chars(field.data(), field.data() + field.size(), value).ec == std::errc() &&
                      (fields == 0 || value < 60);
    if (!good || ++fields > 3) return std::nullopt;
    seconds = seconds * 60 + value;
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  return seconds;
}

ScalarResult read_scalar(const Option& option, const Scalar& scalar) {
  const auto& text = scalar.text;
  switch (option.type) {
    case ValueType::kText:
      return {text, ""};
    case ValueType::kChoice:
      return read_choice(option, text);
    case ValueType::kDuration: {
      // Quotes are welcome here: YAML 1.1 readers take a bare 1:30 for the number 90.
      const auto seconds = parse_duration(text);
      if (!seconds) return fail(option, cat(quote(text), " is not a duration"));
      if (!option.range.contains(*seconds)) return out_of_range(option, text);
      return {*seconds, ""};
    }
    default:
      break;
  }
  if (scalar.quoted) {
    return fail(option, cat("quoted text ", quote(text), " is not ", type_noun(option.type),
                            "; leave out the quotes"));
  }
  if (text.empty()) return fail(option, "has no value");
  if (option.type == ValueType::kBool) return read_bool(option, text);
  if (option.type == ValueType::kInteger) return read_integer(option, text);
  return read_number(option, text);
}

}  // namespace rn::config
