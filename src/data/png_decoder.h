// One PNG file in memory, by libpng's simplified interface, which keeps its jumps inside libpng.
#pragma once

#include <png.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "data/picture.h"
#include "data/picture_error.h"

namespace rn::data {

std::string png_library();  // name and version

class PngDecoder {
 public:
  // Reads the header of `bytes`, which the caller keeps. All members throw PictureError.
  explicit PngDecoder(std::span<const std::byte> bytes);
  ~PngDecoder() { png_image_free(&image_); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  PictureSize size() const;
  void decode(std::uint8_t* rgb);  // once; [height, width, 3]

 private:
  [[noreturn]] void fail() const;

  png_image image_ = {};
};

}  // namespace rn::data
