#include "config/suggest.h"

#include <algorithm>

#include "config/option_table.h"

namespace rn::config {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Optimal string alignment, three rows of the table at a time.
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::optional<std::string> nearest(std::string_view text, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongestName = 128;  // the table is quadratic; no key is longer
  if (text.size() > kLongestName) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = 0;
  for (const auto& candidate : candidates) {
    const auto distance = edit_distance(text, candidate);
    const auto limit = std::max<std::size_t>(2, candidate.size() / 3);
    if (distance <= limit && distance < std::max<std::size_t>(candidate.size(), 1) &&
        (!best || distance < best_distance)) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::optional<std::string> nearest_key(std::string_view key) {
  const auto dot = key.find('.');
  std::vector<std::string> names;
  if (dot == std::string_view::npos) {
    for (const auto& section : sections()) names.push_back(section.name);
    if (const auto near = nearest(key, names)) return near;
    // A key of some section that stands at the top level: "lr" means optimizer.lr.
    for (const auto& option : option_table()) {
      if (option.name == key) return option.key();
    }
    return std::nullopt;
  }
  const auto section = key.substr(0, dot), name = key.substr(dot + 1);
  if (find_section(section) != nullptr) {
    for (const auto& option : option_table()) {
      if (option.section == section) names.push_back(option.name);
    }
    // A level too deep: "optimizer.lr.x" means optimizer.lr.
    if (const auto near = nearest(name.substr(0, name.find('.')), names))
      return std::string(section) + "." + *near;
    for (const auto& option : option_table()) {
      if (option.name == name) return option.key();
    }
    return std::nullopt;
  }
  for (const auto& option : option_table()) names.push_back(option.key());
  return nearest(key, names);
}

std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  auto size = std::min(text.size(), kLongest);
  // Never end in the middle of a character of several bytes.
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  std::string out = "'";
  for (const char c : text.substr(0, size)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      constexpr char kHex[] = "0123456789abcdef";
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + (size < text.size() ? "...'" : "'");
}

}  // namespace rn::config
