// PNG and JPEG files, decoded by libpng and libjpeg-turbo inside bounds of our own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rn::data {

struct Picture {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;  // [height, width, 3]
};

struct PictureSize {
  int width = 0;
  int height = 0;
  bool operator==(const PictureSize&) const = default;
};

// What a file may ask for. Headers are held to it before memory is taken; a thread that decodes needs at most
// 9 bytes a pixel beside the file.
inline constexpr std::uint64_t kMaxPictureFileBytes = std::uint64_t{64} << 20;  // for those who read files
inline constexpr std::int64_t kMaxPicturePixels = std::int64_t{1} << 26;
inline constexpr int kMaxPictureSide = 65500;  // JPEG's own limit in libjpeg

// Both read the bytes of one file, whose kind they see by its first bytes, and throw DataError beginning with
// "[data] <path>" for anything but a whole PNG or JPEG within the bounds. Grey becomes RGB; palettes are
// looked up, 16 bits become 8, and opacity is dropped; a CMYK JPEG is refused. An orientation in the metadata
// is not followed, as in torchvision's ImageFolder. Safe to call from several threads.
PictureSize picture_size(std::span<const std::byte> bytes, const std::string& path);  // by the header
Picture decode_picture(std::span<const std::byte> bytes, const std::string& path);

// "libpng 1.6.39, libjpeg-turbo 2.1.5", as the program runs and was built with.
std::string picture_libraries();

}  // namespace rn::data
