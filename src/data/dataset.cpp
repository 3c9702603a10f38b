#include "data/dataset.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/random.h"
#include "data/cifar_dataset.h"
#include "data/cifar_format.h"
#include "data/cifar_records.h"
#include "data/content_hash.h"
#include "data/folder_dataset.h"
#include "data/synthetic_dataset.h"

namespace rn::data {
namespace {

// The sorted indices of `count` of `size` images, drawn by `seed`.
std::vector<std::int64_t> draw_validation(std::int64_t size, std::int64_t count, std::uint64_t seed) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  for (std::int64_t i = 0; i < size; ++i) order[static_cast<std::size_t>(i)] = i;
  CounterRandom random(seed, Purpose::kSplit, 0, 0);
  for (std::int64_t i = 0; i < count; ++i) {  // the first `count` steps of a Fisher-Yates shuffle
    const auto left = static_cast<std::uint32_t>(size - i);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(i + random.below(left))]);
  }
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

// Appends what `from` says of image i: its label, and its pixels or its record.
void append(const ImageSet& from, std::int64_t i, ImageSet& to) {
  const auto at = static_cast<std::size_t>(i);
  to.labels.push_back(from.labels[at]);
  ++to.size;
  if (from.files) {
    to.records.push_back(from.records[at]);
    return;
  }
  const auto image = from.image(i);
  to.pixels.insert(to.pixels.end(), image.begin(), image.end());
}

// Puts image i at place `to`, which is not behind it.
void move_down(ImageSet& images, std::int64_t i, std::int64_t to) {
  const auto from = static_cast<std::size_t>(i), place = static_cast<std::size_t>(to);
  images.labels[place] = images.labels[from];
  if (images.files) {
    images.records[place] = images.records[from];
    return;
  }
  const auto image = images.image(i);
  std::copy(image.begin(), image.end(),
            images.pixels.begin() + static_cast<std::ptrdiff_t>(place * images.image_bytes()));
}

void shrink(ImageSet& images, std::int64_t size) {
  images.size = size;
  const auto count = static_cast<std::size_t>(size);
  images.labels.resize(count);
  if (images.files) {
    images.records.resize(count);
  } else {
    images.pixels.resize(count * images.image_bytes());
  }
}

// Moves the images at `chosen` (ascending) out of `from`; what stays keeps its order.
ImageSet move_out(ImageSet& from, const std::vector<std::int64_t>& chosen) {
  ImageSet out{.channels = from.channels,
               .height = from.height,
               .width = from.width,
               .pixels = {},
               .labels = {},
               .files = from.files};
  out.labels.reserve(chosen.size());
  if (!from.files) out.pixels.reserve(chosen.size() * from.image_bytes());
  std::int64_t kept = 0;
  auto next = chosen.begin();
  for (std::int64_t i = 0; i < from.size; ++i) {
    if (next != chosen.end() && *next == i) {
      append(from, i, out);
      ++next;
    } else {
      move_down(from, i, kept++);
    }
  }
  shrink(from, kept);
  return out;
}

// The images of `files` from record `first` on.
ImageSet in_files(const std::shared_ptr<const CifarRecords>& files, std::int64_t first, std::int64_t size) {
  ImageSet images{.size = size, .pixels = {}, .labels = {}, .files = files};
  const auto begin = files->labels().begin() + static_cast<std::ptrdiff_t>(first);
  images.labels.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
  images.records.resize(static_cast<std::size_t>(size));
  std::iota(images.records.begin(), images.records.end(), static_cast<std::uint32_t>(first));
  return images;
}

const std::string& require_root(const DataOptions& options) {
  if (options.root.empty()) {
    throw ConfigError(
        "data.root: data.dataset: folder needs it: the folder that holds train/CLASS/*.png (or .jpg)");
  }
  return options.root;
}

void require_known(const std::string& dataset) {
  if (dataset != "cifar10") {
    throw ConfigError(cat("data.dataset: '", dataset, "' is unknown; allowed: cifar10, synthetic, folder"));
  }
}

void require_images_left(std::int64_t held_out, std::int64_t images) {
  if (held_out < 0 || held_out >= images) {
    throw ConfigError(
        cat("data.validation: ", held_out, " images cannot be held out of ", images, " training images"));
  }
}

void require_files(const DataOptions& options, std::string_view why_not) {
  if (options.storage != Storage::kFiles) return;
  throw ConfigError(cat("data.storage: files: ", why_not, "; use memory, or auto"));
}

void read_into(Dataset& dataset, const DataOptions& options, Storage automatic) {
  if (options.dataset != "cifar10") require_files(options, "only CIFAR-10's images can stay in their files");
  if (options.dataset == "folder") {
    const FolderListing listing = list_folder(require_root(options));
    dataset.name = "folder";
    dataset.source = options.root;
    dataset.classes = listing.classes;
    read_folder(listing, options, dataset);
    return;
  }
  dataset.classes = cifar_class_names();
  if (options.dataset == "synthetic") {
    dataset.name = "synthetic";
    dataset.source = "made in memory";
    dataset.train = make_synthetic(options.synthetic_train, SyntheticSplit::kTrain, kSyntheticSeed);
    dataset.test = make_synthetic(options.synthetic_test, SyntheticSplit::kTest, kSyntheticSeed);
    return;
  }
  require_known(options.dataset);
  const CifarLocation location = require_cifar(options.root);
  dataset.name = location.synthetic ? "synthetic" : "cifar10";
  dataset.source = location.path;
  const Storage storage = options.storage == Storage::kAuto ? automatic : options.storage;
  if (storage == Storage::kFiles && stays_in_files(location)) {
    const auto files = std::make_shared<const CifarRecords>(location);
    dataset.train = in_files(files, 0, location.counts.train());
    dataset.test = in_files(files, location.counts.train(), location.counts.test());
    return;
  }
  require_files(options, cat(location.path, " holds them packed (an archive, or Python's pickles)"));
  CifarSplits splits = read_cifar(location);
  dataset.train = std::move(splits.train);
  dataset.test = std::move(splits.test);
}

}  // namespace

std::span<const std::uint8_t> ImageSet::read(std::int64_t i, std::vector<std::uint8_t>& scratch) const {
  if (!files) return image(i);
  return files->read(records[static_cast<std::size_t>(i)], scratch);
}

DatasetShape Dataset::shape() const {
  return {.train = train.size,
          .val = val.size,
          .test = test.size,
          .classes = static_cast<int>(classes.size()),
          .height = train.height,
          .width = train.width,
          .origin = cat("read from ", source)};
}

DatasetShape expected_shape(const DataOptions& options) {
  constexpr CifarCounts kWhole;
  DatasetShape shape{.train = kWhole.train(),
                     .test = kWhole.test(),
                     .classes = kCifarClasses,
                     .height = kCifarSide,
                     .width = kCifarSide,
                     .origin = cat("assuming the whole of CIFAR-10 (", kWhole.train(), ")")};
  if (options.dataset == "folder") {
    const FolderListing listing = list_folder(require_root(options));
    const PictureSize size = folder_image_size(listing, options);
    shape = {.train = static_cast<std::int64_t>(listing.train.paths.size()),
             .test = static_cast<std::int64_t>(listing.test.paths.size()),
             .classes = static_cast<int>(listing.classes.size()),
             .height = size.height,
             .width = size.width,
             .origin = cat("as listed in ", options.root)};
  } else if (options.dataset == "synthetic") {
    shape.train = options.synthetic_train;
    shape.test = options.synthetic_test;
    shape.origin = "as data.synthetic_train says";
  } else {
    require_known(options.dataset);
  }
  require_images_left(options.validation, shape.train);
  shape.val = options.validation;
  shape.train -= shape.val;
  return shape;
}

std::shared_ptr<const Dataset> open_dataset(const DataOptions& options, std::uint64_t seed,
                                            Storage automatic) {
  auto dataset = std::make_shared<Dataset>();
  read_into(*dataset, options, automatic);
  require_images_left(options.validation, dataset->train.size);
  if (options.validation > 0) {
    dataset->val = move_out(dataset->train, draw_validation(dataset->train.size, options.validation, seed));
  }
  dataset->content_hash = content_hash(dataset->train, dataset->val, dataset->test);
  return dataset;
}

}  // namespace rn::data
