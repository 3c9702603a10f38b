// Collects what is wrong with a configuration, to be said all at once.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace rn::config {

class Problems {
 public:
  // `where`: "file:line:column" or "command line", may be empty; `key`: full name, empty for a file as a
  // whole.
  void add(const std::string& where, const std::string& key, const std::string& what) {
    if (!key.empty()) keys_.insert(key);
    std::string line = where;
    for (const auto& part : {key, what}) {
      if (!part.empty()) line += (line.empty() ? "" : ": ") + part;
    }
    lines_.push_back(std::move(line));
  }

  bool concerns(const std::string& key) const { return keys_.contains(key); }
  bool empty() const { return lines_.empty(); }

  // Throws ConfigError with a line per problem, if there is any.
  void raise() const {
    if (lines_.empty()) return;
    constexpr std::size_t kMost = 100;  // a file that is no configuration at all needs no more
    std::string message;
    for (std::size_t i = 0; i < lines_.size() && i < kMost; ++i) message += (i > 0 ? "\n" : "") + lines_[i];
    if (lines_.size() > kMost) message += cat("\n... and ", lines_.size() - kMost, " more problems");
    throw ConfigError(message);
  }

 private:
  std::vector<std::string> lines_;
  std::set<std::string> keys_;
};

}  // namespace rn::config
