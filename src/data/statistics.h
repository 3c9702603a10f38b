// What `rn_dist data verify` and `show` say about a split, and its contact sheet.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace rn::data {

struct SplitStatistics {
  std::vector<std::int64_t> class_counts;  // [classes]
  std::array<double, 3> mean{};            // per channel, of pixels scaled to [0, 1]
  std::array<double, 3> std{};             // over all pixels of the split (divided by their number)
};

// REQUIRES: labels below `classes`, up to 3 channels.
SplitStatistics measure(const ImageSet& images, int classes);

// One row of pictures per class, its first `columns` images, each pixel drawn as a `scale` x `scale` square.
// Throws Error (exit code 1) when writing fails.
void write_contact_sheet(const std::string& path, const ImageSet& images, int classes, int columns = 16,
                         int scale = 2);

}  // namespace rn::data
