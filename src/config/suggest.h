// Text for error messages: the nearest known name, and quoting of what a user wrote.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rn::config {

// Edits between two texts: insertions, deletions, replacements and swaps of neighbours count 1 each.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the fewest edits, the first among equals; nullopt where none is near enough to be a slip
// of the fingers (more than a third of its length, at least two).
std::optional<std::string> nearest(std::string_view text, const std::vector<std::string>& candidates);

// The known key ("optimizer.lr") that an unknown key most likely means: a near spelling, else the same name
// in another section; nullopt if there is none.
std::optional<std::string> nearest_key(std::string_view key);

// 'text' on one line: control characters as \xNN, long text cut, so that a message stays one line.
std::string quote(std::string_view text);

}  // namespace rn::config
