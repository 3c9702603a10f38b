// A configuration file as text: bounded in size, UTF-8, without what YAML readers disagree on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rn::config {

// Where in a text: counted from 1, columns in bytes.
struct TextPosition {
  int line = 0;
  int column = 0;
};

// A text that cannot be read any further.
struct TextError {
  TextPosition at;  // line 0: the file as a whole
  std::string message;
};

inline constexpr std::size_t kLongestConfigBytes = 1 << 20;

// The file's bytes, at most kLongestConfigBytes of them. Throws TextError.
std::string read_text_file(const std::string& path);

// Checks and normalises: a UTF-8 byte order mark is dropped; other encodings, invalid UTF-8, control
// characters and tabs in the indentation are refused. Throws TextError.
std::string checked_text(std::string text);

// Whether `text` is one line of valid UTF-8 without control characters: what a single value may hold.
bool is_one_line(std::string_view text);

}  // namespace rn::config
