#include "data/picture.h"

#include <array>
#include <cstring>

#include "core/error.h"
#include "data/jpeg_decoder.h"
#include "data/png_decoder.h"

namespace rn::data {
namespace {

constexpr std::array<unsigned char, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr std::array<unsigned char, 3> kJpegSignature = {0xFF, 0xD8, 0xFF};

template <std::size_t N>
bool begins_with(std::span<const std::byte> bytes, const std::array<unsigned char, N>& signature) {
  return bytes.size() >= N && std::memcmp(bytes.data(), signature.data(), N) == 0;
}

void require_bounds(const PictureSize& size) {
  const std::int64_t pixels = std::int64_t{size.width} * size.height;
  if (size.width < 1 || size.height < 1 || size.width > kMaxPictureSide || size.height > kMaxPictureSide ||
      pixels > kMaxPicturePixels) {
    throw PictureError(cat("is ", size.width, " x ", size.height, " pixels, and at most ", kMaxPicturePixels,
                           " (", kMaxPictureSide, " a side) are read"));
  }
}

// Calls `use` with the decoder of this kind of file, its header read and held to the bounds.
template <typename Use>
auto with_decoder(std::span<const std::byte> bytes, const std::string& path, Use use) {
  const auto begin = [&](auto&& decoder) {
    require_bounds(decoder.size());
    return use(decoder);
  };
  try {
    if (begins_with(bytes, kPngSignature)) return begin(PngDecoder(bytes));
    if (begins_with(bytes, kJpegSignature)) return begin(JpegDecoder(bytes));
    throw PictureError("is neither a PNG nor a JPEG file");
  } catch (const PictureError& error) {
    throw DataError(cat("[data] ", path, " ", error.what(), ". Replace or remove the file."));
  }
}

}  // namespace

PictureSize picture_size(std::span<const std::byte> bytes, const std::string& path) {
  return with_decoder(bytes, path, [](auto& decoder) { return decoder.size(); });
}

std::string picture_libraries() { return cat(png_library(), ", ", jpeg_library()); }

Picture decode_picture(std::span<const std::byte> bytes, const std::string& path) {
  return with_decoder(bytes, path, [](auto& decoder) {
    const auto [width, height] = decoder.size();
    Picture picture{.width = width, .height = height, .rgb = {}};
    picture.rgb.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
    decoder.decode(picture.rgb.data());
    return picture;
  });
}

}  // namespace rn::data
