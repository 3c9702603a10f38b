// PNG and JPEG files beside Pillow's reading of them (tools/golden/make_pictures.py), and hostile ones.
#include "data/picture.h"

#include <zlib.h>

#include <cstdlib>

#include "data/data_fixtures.h"
#include "data/resize.h"

namespace rn::data {
namespace {

using namespace testing;

std::string picture_file(const std::string& name) { return golden("pictures/" + name); }

Picture decode(const std::string& bytes) { return decode_picture(std::as_bytes(std::span(bytes)), "x"); }

PictureSize size_of(const std::string& bytes) { return picture_size(std::as_bytes(std::span(bytes)), "x"); }

void expect_refused(const std::string& bytes, std::initializer_list<std::string> words) {
  expect_error<DataError>([&] { decode(bytes); }, words);
}

std::string big_endian(std::uint32_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift);
  return text;
}

// `png` with another width and height in its header, whose checksum is right.
std::string png_of_size(std::string png, std::uint32_t width, std::uint32_t height) {
  png.replace(16, 8, big_endian(width, 4) + big_endian(height, 4));
  const auto sum = crc32(0, reinterpret_cast<const Bytef*>(png.data()) + 12, 17);
  return png.replace(29, 4, big_endian(static_cast<std::uint32_t>(sum), 4));
}

std::string jpeg_of_size(std::string jpeg, std::uint32_t width, std::uint32_t height) {
  const auto frame = jpeg.find("\xFF\xC0");  // length, precision, height, width
  return jpeg.replace(frame + 5, 4, big_endian(height, 2) + big_endian(width, 2));
}

// A grey progressive file of 8 x 8 pixels with one block of zeros, sent `scans` times.
std::string jpeg_of_scans(int scans) {
  std::string jpeg = "\xFF\xD8";
  jpeg += "\xFF\xDB" + big_endian(67, 2) + '\0' + std::string(64, '\1');  // quantisation
  jpeg += "\xFF\xC2" + big_endian(11, 2) + '\x08' + big_endian(8, 2) + big_endian(8, 2) + '\1' +
          std::string("\x01\x11\x00", 3);  // frame: one component
  jpeg +=
      "\xFF\xC4" + big_endian(20, 2) + '\0' + '\1' + std::string(15, '\0') + '\0';  // the code "0" means 0
  for (int i = 0; i < scans; ++i) {
    jpeg += "\xFF\xDA" + big_endian(8, 2) + '\1' + std::string("\x01\x00\x00\x00\x00", 5) + '\x7F';
  }
  return jpeg + "\xFF\xD9";
}

class GoldenPictureTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenPictureTest, HasThePixelsThatPillowReads) {
  const std::string name = GetParam(), bytes = picture_file(name);
  const Picture picture = decode(bytes);
  EXPECT_EQ(picture.width, 17);
  EXPECT_EQ(picture.height, 11);
  EXPECT_EQ(size_of(bytes), (PictureSize{17, 11}));
  const std::string expected = picture_file(name.substr(0, name.find('.')) + ".rgb");
  EXPECT_EQ(std::string(picture.rgb.begin(), picture.rgb.end()), expected);
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenPictureTest,
                         ::testing::Values("rgb.png", "grey.png", "bits.png", "palette.png", "opacity.png",
                                           "deep.png", "grey_opacity.png", "baseline.jpg", "full_colour.jpg",
                                           "grey_baseline.jpg", "progressive.jpg"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           name[name.find('.')] = '_';
                           return name;
                         });

TEST(PictureTest, RefusesWhatIsNoPicture) {
  for (const std::string& bytes :
       {std::string(), std::string("GIF89a"), std::string(5000, 'x'), std::string(1, '\xFF')}) {
    expect_refused(bytes, {"[data] x is neither a PNG nor a JPEG file", "Replace or remove"});
  }
  expect_refused(std::string("\x89PNG\r\n\x1A\n") + "nonsense that goes on", {"x is no whole PNG file"});
  expect_refused("\xFF\xD8\xFF\xE0nonsense that goes on", {"x is no whole JPEG file"});
  expect_refused(picture_file("cmyk.jpg"), {"CMYK", "convert it to RGB"});
}

// Damage that the formats can show is an error, never a picture with a grey part.
TEST(PictureTest, RefusesEveryCutOfAFile) {
  for (const char* name : {"rgb.png", "palette.png", "baseline.jpg", "progressive.jpg"}) {
    const std::string whole = picture_file(name);
    // The last bytes of a PNG are its end marker, and those of a JPEG too: nothing of the picture.
    const std::size_t needed = whole.size() - (std::string(name).ends_with("png") ? 12 : 2);
    for (std::size_t size = 0; size < needed; ++size) {
      SCOPED_TRACE(cat(name, " cut to ", size));
      expect_refused(whole.substr(0, size), {"[data] x "});
    }
  }
}

TEST(PictureTest, SeesEveryFlippedBitOfAPngsPixels) {
  const std::string whole = picture_file("rgb.png");
  for (std::size_t at = whole.find("IDAT") + 4; at < whole.size() - 16; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    SCOPED_TRACE(cat("byte ", at));
    expect_refused(damaged, {"[data] x "});
  }
}

TEST(PictureTest, HoldsHeadersToItsBoundsBeforeTakingMemory) {
  const std::string png = picture_file("rgb.png"), jpeg = picture_file("baseline.jpg");
  for (const auto& [width, height] : {std::pair(60000u, 60000u), {65501u, 1u}, {8193u, 8193u}}) {
    const std::string words = cat("is ", width, " x ", height, " pixels, and at most");
    expect_refused(png_of_size(png, width, height), {words});
    if (width <= 65500) expect_refused(jpeg_of_size(jpeg, width, height), {words});
  }
  expect_refused(png_of_size(png, 0x7FFFFFFF, 0x7FFFFFFF), {"[data] x "});
  EXPECT_EQ(size_of(png_of_size(png, 65500, 1000)), (PictureSize{65500, 1000}));
}

TEST(PictureTest, RefusesAJpegOfEndlessScans) {
  const Picture grey = decode(jpeg_of_scans(100));
  EXPECT_EQ(grey.rgb, std::vector<std::uint8_t>(8 * 8 * 3, 128));
  expect_refused(jpeg_of_scans(102), {"too many scans"});
}

struct Resized {
  const char* name;
  int side;
};

class ResizeTest : public ::testing::TestWithParam<Resized> {};

// One level: both round between the two passes, and Pillow takes the vertical one first where that is less
// work.
TEST_P(ResizeTest, IsWithinOneLevelOfTorchvisionOnPillow) {
  const auto [name, side] = GetParam();
  const Picture picture = decode(picture_file(cat(name, ".png")));
  const std::string expected = picture_file(cat(name, "_", side, ".rgb"));
  const auto plane = static_cast<std::size_t>(side) * side;
  std::vector<std::uint8_t> planes(3 * plane);
  resize_to_planes(picture, side, planes);
  ASSERT_EQ(expected.size(), planes.size());
  double bias = 0;
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const int difference = planes[c * plane + i] - static_cast<std::uint8_t>(expected[3 * i + c]);
      ASSERT_LE(std::abs(difference), 1) << "pixel " << i << ", channel " << c;
      bias += difference;
    }
  }
  EXPECT_LT(std::abs(bias / static_cast<double>(planes.size())), 0.05) << "levels";
}

INSTANTIATE_TEST_SUITE_P(Sides, ResizeTest,
                         ::testing::Values(Resized{"wide", 16}, Resized{"wide", 37}, Resized{"wide", 50},
                                           Resized{"tall", 8}, Resized{"tall", 24}),
                         [](const auto& instance) {
                           return cat(instance.param.name, "_", instance.param.side);
                         });

TEST(ResizeToPlanesTest, OfTheSameSizeIsACopy) {
  Picture picture{.width = 2, .height = 2, .rgb = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  std::vector<std::uint8_t> planes(12);
  resize_to_planes(picture, 2, planes);
  EXPECT_EQ(planes, (std::vector<std::uint8_t>{1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12}));
}

}  // namespace
}  // namespace rn::data
