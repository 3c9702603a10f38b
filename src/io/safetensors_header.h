// The JSON header of a safetensors file, parsed as a stream of events. Internal to io.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rn::io::detail {

// A tensor as the header describes it; ranges and sizes are not checked yet.
struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // in bytes from the end of the header
  std::uint64_t end = 0;
};

struct Header {
  std::vector<HeaderEntry> entries;  // in the order of the header
  std::map<std::string, std::string> metadata;
};

// Returns an empty string and fills `header`, or says what is wrong.
std::string parse_safetensors_header(std::string_view text, Header& header);

}  // namespace rn::io::detail
