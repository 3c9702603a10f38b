// Numbers of a JSON document that anybody may have written.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace rn::io {

// `value` if it is a whole number that T holds. The library would convert a fraction, and a number beyond 64
// bits, which it keeps as one, without a look at its size: undefined behaviour.
template <class T>
std::optional<T> whole_number(const nlohmann::json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    return std::in_range<T>(number) ? std::optional(static_cast<T>(number)) : std::nullopt;
  }
  if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    return std::in_range<T>(number) ? std::optional(static_cast<T>(number)) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace rn::io
