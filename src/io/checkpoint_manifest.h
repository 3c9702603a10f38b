// The manifest of a checkpoint: what belongs to it, by size and hash. Internal to io.
//
// JSON whose last member is the hash of all bytes before it, so that a manifest proves itself:
//
//   { "format": "rn_dist checkpoint 1", "step": ..., "values": {...}, "files": [{"name", "size", "hash"},
//   ...],
//     "manifest_hash": "<tensor_hash of everything before this member, in hex>" }
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace rn::io::detail {

inline constexpr const char* kManifestName = "manifest.json";
inline constexpr std::uint64_t kMaxManifestBytes = std::uint64_t{4} << 20;
inline constexpr int kDeepestManifest = 32;  // levels of JSON: what is nested deeper can exhaust the stack

struct ManifestFile {
  std::string name;
  std::uint64_t size = 0;
  std::uint64_t hash = 0;  // tensor_hash of its bytes
};

struct Manifest {
  std::int64_t step = 0;
  nlohmann::json values;
  std::vector<ManifestFile> files;
};

// REQUIRES: numbers in `values` are finite (JSON has no others; they would be read back as null), and nothing
// is nested deeper than a manifest may be.
std::string format_manifest(const Manifest& manifest);

// Throws DataError naming `path` unless `text` ends with the hash of what is before and says what a manifest
// says.
Manifest parse_manifest(std::string_view text, const std::string& path);

// Whether a checkpoint may have a file of this name: one part, not hidden, not the manifest.
bool is_checkpoint_file_name(std::string_view name);

}  // namespace rn::io::detail
