#include <algorithm>
#include <vector>

#include "core/error.h"
#include "data/cifar_binary.h"
#include "data/cifar_format.h"
#include "data/cifar_pickle.h"
#include "data/picture.h"
#include "data/tar_parser.h"
#include "targets.h"

namespace rn::fuzz {
namespace {

using Decode = void (*)(std::span<const std::byte>, const std::string&, std::span<std::uint8_t>,
                        std::span<std::uint8_t>);

void decode(Input input, Decode decoder) {
  const auto [number, bytes] = split_number(input);
  const std::size_t records = number % 4;
  std::vector<std::uint8_t> pixels(records * data::kCifarImageBytes), labels(records, 255);
  try {
    decoder(bytes, "x", pixels, labels);
    expect(std::ranges::all_of(labels, [](int label) { return label < data::kCifarClasses; }),
           "a label above 9");
  } catch (const DataError&) {
  }
}

// Takes members whose name has an even length, if they are small, as real visitors do.
class Collector : public data::TarVisitor {
 public:
  bool wants(const std::string& name, std::uint64_t size) override {
    expect(!asked_, "the member before was not handed over");
    asked_ = name.size() % 2 == 0 && size < 4096;
    size_ = size;
    return asked_;
  }
  void file(const std::string&, std::vector<std::byte> bytes) override {
    expect(asked_ && bytes.size() == size_, "a member that was not asked for, or of another size");
    asked_ = false;
  }

 private:
  bool asked_ = false;
  std::uint64_t size_ = 0;
};

}  // namespace

void cifar_binary(Input input) { decode(input, data::decode_cifar_binary); }

void pickle(Input input) { decode(input, data::decode_cifar_pickle); }

// Pictures are decoded up to a size that leaves time for many.
void picture(Input input) {
  constexpr std::int64_t kMostPixels = 1 << 20;
  try {
    const auto [width, height] = data::picture_size(input, "x");
    expect(width > 0 && height > 0, "a picture without pixels");
    if (std::int64_t{width} * height > kMostPixels) return;
    const data::Picture whole = data::decode_picture(input, "x");
    expect(whole.width == width && whole.height == height, "a picture of another size than its header's");
    expect(whole.rgb.size() == static_cast<std::size_t>(width) * height * 3,
           "pixels that are not the picture's");
  } catch (const DataError&) {
  }
}

void tar(Input input) {
  const auto [number, bytes] = split_number(input);
  const std::size_t piece = number == 0 ? bytes.size() : number * 7;
  Collector collector;
  data::TarParser parser("x.tar", collector);
  try {
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      parser.feed(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    }
    parser.finish();
  } catch (const DataError&) {
  }
}

}  // namespace rn::fuzz
