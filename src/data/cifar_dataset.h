// Reader of CIFAR-10 in any of its forms, from a folder or straight from an archive.
#pragma once

#include <string>
#include <vector>

#include "data/cifar_location.h"
#include "data/dataset.h"

namespace rn::data {

// What became of one of the six files.
struct CifarFileCheck {
  std::string path;   // in archives: archive:member
  std::string error;  // empty: the file is good
};

struct CifarSplits {
  ImageSet train;  // the five batches in order
  ImageSet test;
  std::vector<CifarFileCheck> files;  // always six, in order
};

// Reads all six files and says of each whether it is good; images of a bad file are unspecified. Throws
// DataError only when an archive cannot be read as one.
CifarSplits check_cifar(const CifarLocation& location);

// The same, but throws DataError with the first bad file's message.
CifarSplits read_cifar(const CifarLocation& location);

}  // namespace rn::data
