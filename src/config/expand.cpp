#include "config/expand.h"

#include <cstdlib>

#include "config/suggest.h"
#include "core/error.h"

namespace rn::config {
namespace {

bool is_variable_name(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    const bool good = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    if (!good) return false;
  }
  return true;
}

}  // namespace

Expansion expand_environment(std::string_view text) {
  Expansion result;
  while (!text.empty()) {
    if (text.starts_with("$${")) {
      result.text += "${";
      text.remove_prefix(3);
      continue;
    }
    if (!text.starts_with("${")) {
      result.text += text[0];
      text.remove_prefix(1);
      continue;
    }
    const auto end = text.find('}');
    if (end == std::string_view::npos) return {"", cat(quote(text), " has no closing brace; write ${VAR}")};
    const auto inside = text.substr(2, end - 2);
    const auto colon = inside.find(":-");
    const std::string name(inside.substr(0, colon));
    if (!is_variable_name(name)) {
      return {"", cat(quote(text.substr(0, end + 1)),
                      " does not name a variable; write ${VAR} or ${VAR:-default}, or "
                      "$${ for a literal ${")};
    }
    const char* value = std::getenv(name.c_str());
    const bool has_default = colon != std::string_view::npos;
    if (value != nullptr && !(has_default && *value == '\0')) {
      result.text += value;
    } else if (has_default) {
      result.text += inside.substr(colon + 2);
    } else {
      return {"",
              cat("the environment variable ", name, " is not set; set it, or write ${", name, ":-default}")};
    }
    text.remove_prefix(end + 1);
  }
  return result;
}

std::string escape_environment(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("${")) out += '$';
    out += text[i];
  }
  return out;
}

}  // namespace rn::config
