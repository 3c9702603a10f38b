// A dataset in memory: uint8 images and labels, and the classes' names.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/options.h"
#include "data/pixel_buffer.h"

namespace rn::data {

// One split, whole in memory. Immutable once made, so safe to read from any thread.
struct ImageSet {
  std::int64_t size = 0;
  int channels = 3;
  int height = 32;
  int width = 32;
  PixelBuffer pixels;                // [size, channels, height, width], planes as in CIFAR's files
  std::vector<std::uint8_t> labels;  // [size], below the number of classes

  std::span<const std::uint8_t> image(std::int64_t i) const {
    const auto bytes = static_cast<std::size_t>(channels) * height * width;
    return std::span(pixels).subspan(static_cast<std::size_t>(i) * bytes, bytes);
  }
};

struct Dataset {
  std::string name;    // "cifar10" or "synthetic"
  std::string source;  // where it was read from
  std::vector<std::string> classes;
  ImageSet train;
  ImageSet val;  // empty unless data.validation > 0
  ImageSet test;
  std::uint64_t content_hash = 0;  // over pixels and labels of all splits: part of the run's identity
};

// Opens what `options` names. Throws DataError (missing, truncated, oversized file, bad label: which file,
// which record, and the line to type when it is missing). `seed` draws the validation split. Downloads
// nothing.
std::shared_ptr<const Dataset> open_dataset(const DataOptions& options, std::uint64_t seed);

}  // namespace rn::data
