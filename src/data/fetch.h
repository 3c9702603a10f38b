// `rn_dist data fetch`: gets the official CIFAR-10 archive and unpacks it.
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "data/cifar_format.h"

namespace rn::data {

// The official archive in the binary layout.
inline constexpr const char* kCifarUrl = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
inline constexpr const char* kCifarArchive = "cifar-10-binary.tar.gz";
inline constexpr std::uint64_t kCifarArchiveBytes = 170'052'171;
inline constexpr const char* kCifarArchiveSha256 =
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd";

struct FetchOptions {
  std::string root;                             // empty: as data.root ($RN_CIFAR10_DIR, else data/cifar10)
  std::vector<std::string> urls = {kCifarUrl};  // tried in order; all must serve the same archive
  std::uint64_t size = kCifarArchiveBytes;
  std::string sha256 = kCifarArchiveSha256;
  CifarCounts counts = {};    // of the archive's files; the official ones but in tests
  bool force = false;         // fetch and replace although a set is there
  bool keep_archive = false;  // leave the archive beside the folder
  bool terminal = false;      // progress as one rewritten line
  int attempts = 4;
  std::chrono::milliseconds retry_delay{1000};
};

// Downloads (or takes an archive that lies in root already), verifies size and SHA-256, and unpacks
// atomically into <root>/cifar-10-batches-bin, whose path it returns. A set that is there already is kept.
// Several processes may call it for one root: one downloads, the others wait. Throws as download_file;
// DataError for an archive that is broken inside; Error (exit code 1) when writing fails.
std::string fetch_cifar10(const FetchOptions& options, std::ostream& out);

}  // namespace rn::data
