// A deterministic set of CIFAR's shape whose classes can be learned: for tests, throughput runs and offline
// trials.
#pragma once

#include <cstdint>

#include "data/dataset.h"

namespace rn::data {

enum class SyntheticSplit { kTrain = 0, kTest = 1 };

// `size` images [size, 3, 32, 32]; image i has class i % 10. Each class has a smooth random pattern; an image
// is its pattern, shifted by up to 4 pixels, scaled in contrast, under noise. Integer arithmetic only, so the
// bytes are the same on every machine. Splits of one seed share the patterns.
ImageSet make_synthetic(std::int64_t size, SyntheticSplit split, std::uint64_t seed);

// The seed of `dataset: synthetic`. A data set does not change with the run's seed.
inline constexpr std::uint64_t kSyntheticSeed = 0;

}  // namespace rn::data
