#include "data/dataset.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/random.h"
#include "data/cifar_dataset.h"
#include "data/content_hash.h"
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

void read_into(Dataset& dataset, const DataOptions& options) {
  if (options.dataset == "synthetic") {
    dataset.name = "synthetic";
    dataset.source = "made in memory";
    dataset.train = make_synthetic(options.synthetic_train, SyntheticSplit::kTrain, kSyntheticSeed);
    dataset.test = make_synthetic(options.synthetic_test, SyntheticSplit::kTest, kSyntheticSeed);
    return;
  }
  if (options.dataset != "cifar10") {
    throw ConfigError(cat("data.dataset: '", options.dataset, "' is unknown; allowed: cifar10, synthetic"));
  }
  const CifarLocation location = require_cifar(options.root);
  CifarSplits splits = read_cifar(location);
  dataset.name = location.synthetic ? "synthetic" : "cifar10";
  dataset.source = location.path;
  dataset.train = std::move(splits.train);
  dataset.test = std::move(splits.test);
}

}  // namespace

std::shared_ptr<const Dataset> open_dataset(const DataOptions& options, std::uint64_t seed) {
  auto dataset = std::make_shared<Dataset>();
  dataset->classes = cifar_class_names();
  read_into(*dataset, options);
  if (options.validation < 0 || options.validation >= dataset->train.size) {
    throw ConfigError(cat("data.validation: ", options.validation, " images cannot be held out of ",
                          dataset->train.size, " training images"));
  }
  if (options.validation > 0) {
    dataset->val = move_out(dataset->train, draw_validation(dataset->train.size, options.validation, seed));
  }
  dataset->content_hash = content_hash(dataset->train, dataset->val, dataset->test);
  return dataset;
}

}  // namespace rn::data
