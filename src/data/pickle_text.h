// Text forms inside pickles: Python 2 string literals, raw-unicode-escape, UTF-8 to Latin-1.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace rn::data {

// 'it\'s\x00' or "..." with Python 2's escapes -> its bytes. nullopt: not such a literal.
std::optional<std::string> decode_string_literal(std::string_view literal);

// Protocol 0's unicode line (Latin-1 bytes with \uXXXX and \UXXXXXXXX escapes) -> UTF-8. nullopt: a bad
// escape.
std::optional<std::string> decode_raw_unicode(std::string_view line);

// UTF-8 -> one byte per character. nullopt: malformed, or a character above U+00FF.
std::optional<std::string> utf8_to_latin1(std::string_view text);

}  // namespace rn::data
