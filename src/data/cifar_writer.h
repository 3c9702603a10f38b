// Writes a set in CIFAR-10's binary layout: the folder is there whole or not at all.
#pragma once

#include <cstdint>
#include <string>

#include "data/dataset.h"

namespace rn::data {

struct CifarWriteOptions {
  bool replace = false;    // an existing folder is moved aside and removed; else it is an error
  bool synthetic = false;  // adds kSyntheticMarker with counts and seed
  std::uint64_t seed = 0;  // of a synthetic set, for the marker
};

// Writes <root>/cifar-10-batches-bin (five train files of equal size, the test file, batches.meta.txt) and
// returns its path. Everything is written and synced into a temporary folder that is then renamed. Throws
// DataError if the folder exists, and Error (exit code 1) when writing fails; the old folder is then as it
// was. REQUIRES: 3 x 32 x 32 images, train.size a multiple of 5.
std::string write_cifar_binary(const ImageSet& train, const ImageSet& test, const std::string& root,
                               const CifarWriteOptions& options);

}  // namespace rn::data
