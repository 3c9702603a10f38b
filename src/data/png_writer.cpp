#include "data/png_writer.h"

#include <zlib.h>

#include <string_view>
#include <vector>

#include "core/error.h"
#include "io/atomic_file.h"

namespace rn::data {
namespace {

void append_u32(std::string& out, std::uint64_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xFF);
}

// Length, type, content, CRC over type and content.
void append_chunk(std::string& out, std::string_view type, const std::string& content) {
  append_u32(out, content.size());
  const std::string body = std::string(type) + content;
  out += body;
  append_u32(out, crc32_z(0, reinterpret_cast<const Bytef*>(body.data()), body.size()));
}

std::string compress(const std::vector<std::uint8_t>& raw) {
  uLongf size = compressBound(raw.size());
  std::string out(size, '\0');
  const int result = compress2(reinterpret_cast<Bytef*>(out.data()), &size, raw.data(), raw.size(), 6);
  RN_CHECK(result == Z_OK, "zlib: ", result);
  out.resize(size);
  return out;
}

}  // namespace

void write_png(const std::string& path, int width, int height, std::span<const std::uint8_t> rgb) {
  const std::size_t row = static_cast<std::size_t>(width) * 3;
  RN_CHECK(width > 0 && height > 0 && rgb.size() == row * static_cast<std::size_t>(height));
  std::vector<std::uint8_t> raw;
  raw.reserve(rgb.size() + static_cast<std::size_t>(height));
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
    raw.push_back(0);  // filter type: none
    const auto line = rgb.subspan(y * row, row);
    raw.insert(raw.end(), line.begin(), line.end());
  }
  std::string header;
  append_u32(header, static_cast<std::uint64_t>(width));
  append_u32(header, static_cast<std::uint64_t>(height));
  header += std::string("\x08\x02\x00\x00\x00", 5);  // 8 bits, RGB, deflate, standard filters, not interlaced
  std::string png = "\x89PNG\r\n\x1a\n";
  append_chunk(png, "IHDR", header);
  append_chunk(png, "IDAT", compress(raw));
  append_chunk(png, "IEND", "");
  io::write_file_atomically(io::posix_file_system(), path, std::string_view(png));
}

}  // namespace rn::data
