// Checkpoints on disk: a folder per step of safetensors files and a manifest, published atomically.
//
//   <run>/checkpoints/<step>/model.safetensors, optimizer.safetensors, ..., manifest.json     last -> <step>, best -> <step>
//
// The manifest lists each file's size and hash, the run's values (step, epoch, ...) and ends with its own hash; a
// folder without a valid manifest is not a checkpoint. Publishing: write into a temporary folder beside it, fsync each
// file, fsync the folder, rename, fsync the parent, then move the link. Every opener verifies. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "io/file_system.h"
#include "io/safetensors.h"

namespace rn::io {

// One file of a checkpoint, e.g. {"optimizer.safetensors", {momentum tensors}}.
struct CheckpointFile {
  std::string name;
  std::vector<TensorView> tensors;
};

struct LoadedCheckpoint {
  std::string path;                                    // of its folder
  std::int64_t step = 0;
  nlohmann::json values;                               // what was given to save()
  std::vector<std::pair<std::string, SafetensorsFile>> files;

  const SafetensorsFile* file(const std::string& name) const;   // nullptr: absent
};

class CheckpointFolder {
 public:
  // `directory`: the run's checkpoints/. Created on the first save.
  CheckpointFolder(FileSystem& files, std::string directory);

  // Writes and publishes the checkpoint of `step` and points `last` at it. An existing valid one of the same step is
  // replaced. Leaves older checkpoints as they are when it throws.
  void save(std::int64_t step, const std::vector<CheckpointFile>& contents, const nlohmann::json& values);

  void set_best(std::int64_t step);                    // points `best` at an existing checkpoint
  std::optional<std::int64_t> last() const;            // newest valid one, by manifest (the link is a hint only)
  std::optional<std::int64_t> best() const;
  std::vector<std::int64_t> steps() const;             // of folders that have a manifest, ascending

  // Removes all but the newest `keep` and best; the manifest of a folder goes first. Also temporary leftovers.
  void prune(int keep);

  LoadedCheckpoint load(std::int64_t step) const;      // throws DataError: which file, what is wrong

 private:
  FileSystem& files_;
  const std::string directory_;
};

// Opens a checkpoint by the path of its folder (or of a link to it), verifying all hashes.
LoadedCheckpoint load_checkpoint(FileSystem& files, const std::string& path);

}  // namespace rn::io
