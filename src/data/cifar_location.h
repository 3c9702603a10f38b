// Where a CIFAR-10 set lies and in which form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/cifar_format.h"

namespace rn::data {

struct CifarLocation {
  std::string path;      // the folder of the six files, or the archive
  bool archive = false;  // .tar.gz: the encoding is seen while reading
  CifarEncoding encoding = CifarEncoding::kBinary;
  CifarCounts counts = {};
  bool synthetic = false;  // the folder carries kSyntheticMarker
};

// Looks in `root`, which may be the folder of the files, its parent, an archive or an archive's folder, in
// this order: the folder itself, cifar-10-batches-bin, cifar-10-batches-py, cifar-10-binary.tar.gz,
// cifar-10-python.tar.gz, cifar-10-batches-py.tar.gz. A folder counts when one of the six files is in it.
// nullopt: nothing there. Throws DataError for an unreadable synthetic marker.
std::optional<CifarLocation> find_cifar(const std::string& root);

// Whether all six files are there, in the binary layout with their exact sizes: a cheap check that reads
// nothing. An archive is taken to be complete.
bool looks_complete(const CifarLocation& location);

// `root` if not empty, else $RN_CIFAR10_DIR if set and not empty, else "data/cifar10".
std::string cifar_root(const std::string& root);

// find_cifar(cifar_root(root)), or DataError with the line to type: rn_dist data fetch.
CifarLocation require_cifar(const std::string& root);

}  // namespace rn::data
