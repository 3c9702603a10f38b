#include "data/cifar_location.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace rn::data {
namespace {

namespace fs = std::filesystem;

bool holds_any_file(const fs::path& folder, CifarEncoding encoding) {
  std::error_code ignored;
  for (const auto& name : cifar_file_names(encoding)) {
    if (fs::is_regular_file(folder / name, ignored)) return true;
  }
  return false;
}

// Reads "key N" lines. The counts size what is read, so they are held to the official files' 10,000 records.
void read_marker(const fs::path& marker, CifarLocation& location) {
  std::ifstream in(marker);
  std::string key;
  std::int64_t value = 0;
  location.counts = {.train_file = 0, .test_file = 0};
  while (in >> key >> value) {
    if (key == "train_records_per_file") location.counts.train_file = value;
    if (key == "test_records") location.counts.test_file = value;
  }
  const CifarCounts limit;
  const auto& counts = location.counts;
  if (counts.train_file < 1 || counts.train_file > limit.train_file || counts.test_file < 1 ||
      counts.test_file > limit.test_file) {
    throw DataError(cat("[data] ", marker.string(),
                        " is damaged: it must hold the lines 'train_records_per_file N' and "
                        "'test_records N' with N from 1 to ",
                        limit.train_file, ". Write the set anew: rn_dist data synth"));
  }
  location.synthetic = true;
}

std::optional<CifarLocation> folder_location(const fs::path& folder) {
  for (const auto encoding : {CifarEncoding::kBinary, CifarEncoding::kPickle}) {
    if (!holds_any_file(folder, encoding)) continue;
    CifarLocation location{.path = folder.string(), .encoding = encoding};
    std::error_code ignored;
    if (encoding == CifarEncoding::kBinary && fs::exists(folder / kSyntheticMarker, ignored))
      read_marker(folder / kSyntheticMarker, location);
    return location;
  }
  return std::nullopt;
}

}  // namespace

std::optional<CifarLocation> find_cifar(const std::string& root) {
  std::error_code ignored;
  if (fs::is_regular_file(root, ignored)) return CifarLocation{.path = root, .archive = true};
  const fs::path base(root);
  for (const fs::path& folder : {base, base / cifar_folder_name(CifarEncoding::kBinary),
                                 base / cifar_folder_name(CifarEncoding::kPickle)}) {
    if (auto location = folder_location(folder)) return location;
  }
  for (const char* name :
       {"cifar-10-binary.tar.gz", "cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz"}) {
    if (fs::is_regular_file(base / name, ignored)) {
      return CifarLocation{.path = (base / name).string(), .archive = true};
    }
  }
  return std::nullopt;
}

bool looks_complete(const CifarLocation& location) {
  if (location.archive) return true;
  const auto& names = cifar_file_names(location.encoding);
  for (int i = 0; i < kCifarFiles; ++i) {
    std::error_code error;
    const auto size = fs::file_size(fs::path(location.path) / names[static_cast<std::size_t>(i)], error);
    if (error) return false;
    const auto exact = static_cast<std::uintmax_t>(location.counts.of_file(i) * kCifarRecordBytes);
    if (location.encoding == CifarEncoding::kBinary && size != exact) return false;
  }
  return true;
}

std::string cifar_root(const std::string& root) {
  if (!root.empty()) return root;
  const char* variable = std::getenv("RN_CIFAR10_DIR");
  return variable != nullptr && *variable != '\0' ? variable : "data/cifar10";
}

CifarLocation require_cifar(const std::string& root) {
  const std::string chosen = cifar_root(root);
  if (auto location = find_cifar(chosen)) return *location;
  const char* origin = !root.empty()              ? "the folder that was named"
                       : chosen == "data/cifar10" ? "neither data.root nor RN_CIFAR10_DIR is set"
                                                  : "named by RN_CIFAR10_DIR";
  throw DataError(
      cat("[data] no CIFAR-10 in ", chosen, " (", origin, "). Get it with\n  rn_dist data fetch",
          root.empty() ? "" : cat(" --root ", root),
          "\nor let data.root name a folder that holds cifar-10-batches-bin, cifar-10-batches-py or one of "
          "the official archives."));
}

}  // namespace rn::data
