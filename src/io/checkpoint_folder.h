// Checkpoints on disk: a folder per step of safetensors files and a manifest, published atomically.
//
//   <run>/checkpoints/<step>/model.safetensors, optimizer.safetensors, ..., manifest.json   last -> <step>,
//   best -> <step>
//
// The manifest lists each file's size and hash, the run's values (step, epoch, ...) and ends with its own
// hash; a folder without a manifest is not a checkpoint. Publishing: write into a temporary folder beside it,
// fsync each file, fsync the folder, read all of it back and compare it with the hashes of what was in
// memory (of what was copied and, where they are known, of what it was copied from), rename, fsync the
// parent, then move the link; so an older checkpoint goes only after a newer one was seen to be good. Every
// opener verifies all hashes, so a damaged checkpoint is an error that names the file, never silently
// something else. One process writes (it holds the run's lock), any number may read. The class has no state
// but the disk's: one thread at a time may change the folder; const members may be called meanwhile by
// others, and find the old or the new.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/file_system.h"
#include "io/safetensors.h"

namespace rn::io {

// What a tensor's values hashed to in the memory that they were copied from, before the copy.
struct SourceHash {
  std::uint64_t hash = 0;        // core/tensor_hash.h
  std::uint64_t first_word = 0;  // the number that the hash gave their first word
  bool channels_last = false;    // [N, C, H, W] lay there as [N, H, W, C]
};

// Whether `tensor` holds the values that `source` tells of.
bool has_source_hash(const TensorView& tensor, const SourceHash& source);

// One file of a checkpoint, e.g. {"optimizer.safetensors", {momentum tensors}}.
struct CheckpointFile {
  std::string name;
  std::vector<TensorView> tensors;
  std::map<std::string, SourceHash> sources = {};  // by tensor; without one, a tensor counts as it is here
};

struct LoadedCheckpoint {
  std::string path;  // of its folder
  std::int64_t step = 0;
  nlohmann::json values;  // what was given to save()
  std::vector<std::pair<std::string, SafetensorsFile>> files;

  const SafetensorsFile* file(const std::string& name) const;  // nullptr: absent
};

class CheckpointFolder {
 public:
  // `directory`: the run's checkpoints/. Created on the first save. Borrows `files`.
  CheckpointFolder(FileSystem& files, std::string directory);

  // Writes and publishes the checkpoint of `step` and points `last` at it. An existing one of the same step
  // is replaced, and at any moment either of the two opens. Leaves older checkpoints as they are when it
  // throws (Error, exit code 1: disk full, read-only, what was read back differs, ...), and nothing
  // half-written behind unless even removing fails; prune() gets that later. REQUIRES: step >= 0, distinct
  // file names, finite numbers in `values`.
  void save(std::int64_t step, const std::vector<CheckpointFile>& contents, const nlohmann::json& values);

  void set_best(std::int64_t step);          // points `best` at an existing checkpoint
  std::optional<std::int64_t> last() const;  // the highest of steps(); the link `last` is for people
  std::optional<std::int64_t> best() const;  // what `best` points to, if it has a manifest
  std::vector<std::int64_t> steps() const;   // of folders that have a manifest, ascending

  // Removes all but the newest `keep` (at least 1) and best; the manifest of a folder goes first. Also what
  // crashed saves and prunes left behind.
  void prune(int keep);

  // Removes every checkpoint after `step`, newest first: a run that was set back to `step` writes them anew,
  // and `last` must not mean one of the run's earlier course. REQUIRES: the checkpoint of `step` exists, or
  // step < 0.
  void drop_after(std::int64_t step);

  LoadedCheckpoint load(std::int64_t step) const;  // throws DataError: which file, what is wrong

 private:
  std::string path_of(const std::string& name) const { return directory_ + "/" + name; }
  std::string folder_of(std::int64_t step) const;
  bool has_manifest(const std::string& folder) const;
  void publish(std::int64_t step, const std::string& temporary);
  void finish_replacement(std::int64_t step);
  void remove_checkpoint(const std::string& folder);
  void remove_leftovers();

  FileSystem& files_;
  const std::string directory_;
};

// Opens a checkpoint by the path of its folder (or of a link to it), verifying all hashes. Throws DataError.
LoadedCheckpoint load_checkpoint(FileSystem& files, const std::string& path);

}  // namespace rn::io
