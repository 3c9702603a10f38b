#include "data/dataset.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/random.h"
#include "data/cifar_dataset.h"
#include "data/cifar_format.h"
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

// Moves the images at `chosen` (ascending) out of `from`; what stays keeps its order.
ImageSet move_out(ImageSet& from, const std::vector<std::int64_t>& chosen) {
  ImageSet out;
  out.channels = from.channels;
  out.height = from.height;
  out.width = from.width;
  out.size = static_cast<std::int64_t>(chosen.size());
  const auto bytes = from.image(0).size();
  out.pixels.reserve(chosen.size() * bytes);
  out.labels.reserve(chosen.size());
  std::size_t kept = 0;
  auto next = chosen.begin();
  for (std::int64_t i = 0; i < from.size; ++i) {
    const auto image = from.image(i);
    const auto label = from.labels[static_cast<std::size_t>(i)];
    if (next != chosen.end() && *next == i) {
      out.pixels.insert(out.pixels.end(), image.begin(), image.end());
      out.labels.push_back(label);
      ++next;
    } else {
      std::copy(image.begin(), image.end(), from.pixels.begin() + static_cast<std::ptrdiff_t>(kept * bytes));
      from.labels[kept++] = label;
    }
  }
  from.size = static_cast<std::int64_t>(kept);
  from.pixels.resize(kept * bytes);
  from.labels.resize(kept);
  return out;
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

void read_into(Dataset& dataset, const DataOptions& options) {
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
  CifarSplits splits = read_cifar(location);
  dataset.name = location.synthetic ? "synthetic" : "cifar10";
  dataset.source = location.path;
  dataset.train = std::move(splits.train);
  dataset.test = std::move(splits.test);
}

}  // namespace

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

std::shared_ptr<const Dataset> open_dataset(const DataOptions& options, std::uint64_t seed) {
  auto dataset = std::make_shared<Dataset>();
  read_into(*dataset, options);
  require_images_left(options.validation, dataset->train.size);
  if (options.validation > 0) {
    dataset->val = move_out(dataset->train, draw_validation(dataset->train.size, options.validation, seed));
  }
  dataset->content_hash = content_hash(dataset->train, dataset->val, dataset->test);
  return dataset;
}

}  // namespace rn::data
