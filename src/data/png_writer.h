// A minimal writer of 8-bit RGB PNG files.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace rn::data {

// `rgb`: [height, width, 3]. Replaces `path` atomically. Throws Error (exit code 1) when writing fails.
void write_png(const std::string& path, int width, int height, std::span<const std::uint8_t> rgb);

}  // namespace rn::data
