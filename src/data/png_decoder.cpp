#include "data/png_decoder.h"

#include <vector>

#include "core/error.h"

namespace rn::data {

std::string png_library() { return cat("libpng ", png_get_libpng_ver(nullptr)); }

// libpng itself takes at most 8 MB for the text and profiles of a file, and at most 1,000 of them.
PngDecoder::PngDecoder(std::span<const std::byte> bytes) {
  image_.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image_, bytes.data(), bytes.size()) == 0) fail();
  image_.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // 16 bits a channel are levels like 8, and not linear light
}

PictureSize PngDecoder::size() const {
  // Larger than any bound in `int` stays larger.
  const auto side = [](png_uint_32 value) { return value > INT32_MAX ? INT32_MAX : static_cast<int>(value); };
  return {.width = side(image_.width), .height = side(image_.height)};
}

// Decoded with opacity, which is then dropped: asked for RGB alone, libpng lays the picture over a
// background.
void PngDecoder::decode(std::uint8_t* rgb) {
  image_.format = PNG_FORMAT_RGBA;
  std::vector<std::uint8_t> rgba(PNG_IMAGE_SIZE(image_));
  if (png_image_finish_read(&image_, nullptr, rgba.data(), 0, nullptr) == 0) fail();
  for (std::size_t from = 0; from < rgba.size(); from += 4) {
    for (std::size_t c = 0; c < 3; ++c) *rgb++ = rgba[from + c];
  }
}

void PngDecoder::fail() const {
  throw PictureError(cat("is no whole PNG file: libpng says '", image_.message, "'"));
}

}  // namespace rn::data
