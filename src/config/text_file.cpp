#include "config/text_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

#include "core/error.h"

namespace rn::config {
namespace {

TextPosition position_of(std::string_view text, std::size_t offset) {
  TextPosition at{1, 1};
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    } else {
      ++at.column;
    }
  }
  return at;
}

// Length of the valid UTF-8 character at the start of `text` (RFC 3629), 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
  const bool too_large = lead == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : length;
}

std::optional<std::size_t> indenting_tab(std::string_view text) {
  bool indentation = true;
  std::optional<std::size_t> tab;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      indentation = true;
      tab.reset();
    } else if (indentation && c == '\t') {
      if (!tab) tab = i;
    } else if (indentation && c != ' ') {
      // Blank lines and comments may hold tabs.
      if (tab && c != '#' && c != '\r') return tab;
      indentation = false;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string read_text_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    throw TextError{{}, "is a folder, not a configuration file"};
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) throw TextError{{}, cat("cannot be read: ", std::strerror(errno != 0 ? errno : EIO))};
  std::string text(kLongestConfigBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) throw TextError{{}, "cannot be read: an input error"};
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kLongestConfigBytes) {
    throw TextError{{}, cat("is larger than ", kLongestConfigBytes / 1024, " KiB: not a configuration file")};
  }
  return text;
}

std::string checked_text(std::string text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    throw TextError{{1, 1}, "is UTF-16 (it starts with that byte order mark); save it as UTF-8"};
  }
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  const std::string_view view = text;
  for (std::size_t i = 0; i < view.size();) {
    const auto length = utf8_length(view.substr(i));
    if (length == 0) throw TextError{position_of(view, i), "is not UTF-8: an invalid byte"};
    const auto byte = static_cast<unsigned char>(view[i]);
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7f) {
      throw TextError{position_of(view, i), "holds a control character; is it a text file?"};
    }
    i += length;
  }
  if (const auto tab = indenting_tab(view)) {
    throw TextError{position_of(view, *tab), "a tab in the indentation; YAML is indented by spaces"};
  }
  return text;
}

bool is_one_line(std::string_view text) {
  while (!text.empty()) {
    const auto length = utf8_length(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    if (length == 0 || byte < 0x20 || byte == 0x7f) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace rn::config
