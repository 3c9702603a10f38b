// A dataset: uint8 images and labels, and the classes' names.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/options.h"
#include "data/pixel_buffer.h"

namespace rn::data {

class CifarRecords;

// One split. Its images lie in memory or stay in the set's files. Immutable once made, so safe to read from
// any thread.
struct ImageSet {
  std::int64_t size = 0;
  int channels = 3;
  int height = 32;
  int width = 32;
  PixelBuffer pixels;  // [size, channels, height, width], planes as in CIFAR's files; empty: see `files`
  std::vector<std::uint8_t> labels;                     // [size], below the number of classes
  std::shared_ptr<const CifarRecords> files = nullptr;  // null: the images are `pixels`
  std::vector<std::uint32_t> records = {};              // with `files`: of which each image is one, [size]

  std::size_t image_bytes() const { return static_cast<std::size_t>(channels) * height * width; }

  // REQUIRES: files is null.
  std::span<const std::uint8_t> image(std::int64_t i) const {
    return std::span(pixels).subspan(static_cast<std::size_t>(i) * image_bytes(), image_bytes());
  }

  // Image i from where it lies: a view that is valid until `scratch` changes. Throws DataError as
  // CifarRecords::read.
  std::span<const std::uint8_t> read(std::int64_t i, std::vector<std::uint8_t>& scratch) const;
};

struct DatasetShape {
  std::int64_t train = 0;  // images to train on, those held out left out
  std::int64_t val = 0;
  std::int64_t test = 0;
  int classes = 0;
  int height = 0;
  int width = 0;
  std::string origin;  // where the numbers are from, in words

  std::int64_t images() const { return train + val + test; }
};

struct Dataset {
  std::string name;    // "cifar10", "synthetic" or "folder"
  std::string source;  // where it was read from
  std::vector<std::string> classes;
  ImageSet train;
  ImageSet val;  // empty unless data.validation > 0
  ImageSet test;
  std::uint64_t content_hash = 0;  // over pixels and labels of all splits: part of the run's identity

  DatasetShape shape() const;
};

// What open_dataset will give: files of a folder are listed, and one header read, else nothing. Throws as it
// does.
DatasetShape expected_shape(const DataOptions& options);

// Opens what `options` names. Throws DataError (missing, truncated, oversized file, bad label: which file,
// which record, and the line to type when it is missing), and ConfigError for data.storage: files where there
// are none to stay in. `seed` draws the validation split; `automatic` is what data.storage: auto means, as
// far as the set allows it. Downloads nothing.
std::shared_ptr<const Dataset> open_dataset(const DataOptions& options, std::uint64_t seed,
                                            Storage automatic = Storage::kMemory);

}  // namespace rn::data
