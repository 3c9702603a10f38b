// One JPEG file in memory, by libjpeg-turbo.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "data/picture.h"
#include "data/picture_error.h"

namespace rn::data {

std::string jpeg_library();  // name and version

class JpegDecoder {
 public:
  // Reads the header of `bytes`, which the caller keeps. All members throw PictureError.
  explicit JpegDecoder(std::span<const std::byte> bytes);
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  PictureSize size() const;
  void decode(std::uint8_t* rgb);  // once; [height, width, 3]

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rn::data
