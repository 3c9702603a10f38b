#include "io/checkpoint_folder.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/error.h"
#include "core/log.h"
#include "core/tensor_hash.h"
#include "io/atomic_file.h"
#include "io/checkpoint_manifest.h"

namespace rn::io {
namespace {

// Note [Replacing a checkpoint]
// A folder cannot be renamed over another that has content. So the old checkpoint of a step first steps
// aside, to
// "<step>.replaced", and then the new one takes its name. Between the two renames, and after a crash there,
// the old one is found under its second name; as soon as "<step>" has a manifest again, "<step>.replaced"
// means nothing.
constexpr std::string_view kReplacedSuffix = ".replaced";

// Names of checkpoint folders are plain decimals: "0", "1200", not "+1", "01" or "1 ".
std::optional<std::int64_t> step_of(std::string_view name) {
  std::int64_t step = 0;
  const auto [stopped, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc() || stopped != name.data() + name.size() || name != std::to_string(step) ||
      step < 0) {
    return std::nullopt;
  }
  return step;
}

std::string replaced_name(std::int64_t step) { return cat(step, kReplacedSuffix); }

std::optional<std::int64_t> step_of_replaced(std::string_view name) {
  if (!name.ends_with(kReplacedSuffix)) return std::nullopt;
  return step_of(name.substr(0, name.size() - kReplacedSuffix.size()));
}

// Passes everything on to a file and hashes it on the way.
class HashingFile : public WritableFile {
 public:
  explicit HashingFile(std::unique_ptr<WritableFile> file) : file_(std::move(file)) {}
  void append(std::span<const std::byte> bytes) override {
    file_->append(bytes);
    hasher_.update(bytes);
  }
  void share() override { file_->share(); }
  void sync() override { file_->sync(); }
  void close() override { file_->close(); }
  const TensorHasher& hasher() const { return hasher_; }

 private:
  std::unique_ptr<WritableFile> file_;
  TensorHasher hasher_;
};

void finish_file(WritableFile& file) {
  file.share();
  file.sync();
  file.close();
}

// The files of one checkpoint and, last, its manifest, whose text is returned.
std::string write_folder(FileSystem& files, const std::string& folder, detail::Manifest& manifest,
                         const std::vector<CheckpointFile>& contents) {
  files.make_directory(folder);
  for (const CheckpointFile& content : contents) {
    HashingFile file(files.create(folder + "/" + content.name));
    write_safetensors(file, content.tensors, {});
    finish_file(file);
    manifest.files.push_back({content.name, file.hasher().size(), file.hasher().finish()});
  }
  const std::string text = detail::format_manifest(manifest);
  const auto file = files.create(folder + "/" + detail::kManifestName);
  file->append(std::as_bytes(std::span(text)));
  finish_file(*file);
  files.sync_directory(folder);
  return text;
}

// A file that reads back as it was written; else an Error.
std::vector<std::byte> read_back(FileSystem& files, const std::string& folder, const std::string& name,
                                 std::uint64_t size, std::uint64_t hash) {
  std::string problem;
  try {
    auto bytes = files.read(folder + "/" + name, size);
    if (bytes.size() == size && tensor_hash(bytes) == hash) return bytes;
  } catch (const DataError& error) {
    problem = cat(" (", error.what(), ")");
  }
  throw Error(ExitCode::kFailure, cat(folder, "/", name, " reads back differently from what was written",
                                      problem, ": the disk or the memory of this machine is faulty"));
}

// A bit that flips in the copy before it is written has the right hash on disk: only the source tells.
void compare_with_sources(const CheckpointFile& content, std::vector<std::byte> bytes,
                          const std::string& path) {
  if (content.sources.empty()) return;
  const SafetensorsFile file = parse_safetensors(std::move(bytes), path);
  for (const TensorView& tensor : file.tensors) {
    const auto source = content.sources.find(tensor.name);
    if (source == content.sources.end() || has_source_hash(tensor, source->second)) continue;
    throw Error(ExitCode::kFailure,
                cat(path, ": ", tensor.name,
                    " is not what it was in memory before it was copied: the memory of this "
                    "machine is faulty"));
  }
}

// Reads a folder back, before anything relies on it. `contents`, `manifest` and `text` come from memory, not
// from the disk.
void verify_folder(FileSystem& files, const std::string& folder, const std::vector<CheckpointFile>& contents,
                   const detail::Manifest& manifest, const std::string& text) {
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const detail::ManifestFile& file = manifest.files[i];
    compare_with_sources(contents[i], read_back(files, folder, file.name, file.size, file.hash),
                         folder + "/" + file.name);
  }
  (void)read_back(files, folder, detail::kManifestName, text.size(),
                  tensor_hash(std::as_bytes(std::span(text))));
}

// Best effort, after a failure that is worth more than this one's.
void try_remove_folder(FileSystem& files, const std::string& folder) {
  try {
    for (const std::string& name : files.list(folder)) files.remove(folder + "/" + name);
    files.remove(folder);
  } catch (const std::exception&) {
  }
}

SafetensorsFile load_file(FileSystem& files, const std::string& path, const detail::ManifestFile& expected) {
  auto bytes = files.read(path, expected.size);  // which refuses a longer file
  if (bytes.size() != expected.size) {
    throw DataError(cat(path, " is cut: it has ", bytes.size(), " bytes, and its manifest says ",
                        expected.size, ". This checkpoint cannot be used."));
  }
  if (tensor_hash(bytes) != expected.hash) {
    throw DataError(cat(path,
                        " is damaged: its bytes do not have the hash that its manifest says. "
                        "This checkpoint cannot be used."));
  }
  return parse_safetensors(std::move(bytes), path);
}

}  // namespace

bool has_source_hash(const TensorView& tensor, const SourceHash& source) {
  const auto hash_of = [&](std::span<const std::byte> bytes) {
    return tensor_hash_finish(tensor_hash_sum(bytes, source.first_word), bytes.size());
  };
  if (!source.channels_last) return hash_of(tensor.bytes) == source.hash;
  RN_CHECK(tensor.shape.size() == 4, tensor.name);
  const auto images = static_cast<std::size_t>(tensor.shape[0]);
  const auto channels = static_cast<std::size_t>(tensor.shape[1]);
  const auto pixels = static_cast<std::size_t>(tensor.shape[2] * tensor.shape[3]);
  const std::size_t element = size_of(tensor.dtype);
  std::vector<std::byte> reordered(tensor.bytes.size());
  std::byte* to = reordered.data();
  for (std::size_t n = 0; n < images; ++n) {
    for (std::size_t p = 0; p < pixels; ++p) {
      for (std::size_t c = 0; c < channels; ++c, to += element) {
        std::memcpy(to, tensor.bytes.data() + ((n * channels + c) * pixels + p) * element, element);
      }
    }
  }
  return hash_of(reordered) == source.hash;
}

const SafetensorsFile* LoadedCheckpoint::file(const std::string& name) const {
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const auto& file) { return file.first == name; });
  return found == files.end() ? nullptr : &found->second;
}

LoadedCheckpoint load_checkpoint(FileSystem& files, const std::string& path) {
  const std::string manifest_path = path + "/" + detail::kManifestName;
  if (!files.exists(manifest_path)) {
    throw DataError(cat("there is no checkpoint at ", path, ": ",
                        files.exists(path) ? "it has no manifest.json" : "no such folder"));
  }
  const auto text = files.read(manifest_path, detail::kMaxManifestBytes);
  auto manifest =
      detail::parse_manifest({reinterpret_cast<const char*>(text.data()), text.size()}, manifest_path);
  LoadedCheckpoint checkpoint{path, manifest.step, std::move(manifest.values), {}};
  for (const detail::ManifestFile& file : manifest.files) {
    checkpoint.files.emplace_back(file.name, load_file(files, path + "/" + file.name, file));
  }
  return checkpoint;
}

CheckpointFolder::CheckpointFolder(FileSystem& files, std::string directory)
    : files_(files), directory_(std::move(directory)) {}

bool CheckpointFolder::has_manifest(const std::string& folder) const {
  return files_.exists(folder + "/" + detail::kManifestName);
}

// Note [Replacing a checkpoint]
std::string CheckpointFolder::folder_of(std::int64_t step) const {
  const std::string folder = path_of(std::to_string(step));
  const std::string replaced = path_of(replaced_name(step));
  return !has_manifest(folder) && has_manifest(replaced) ? replaced : folder;
}

void CheckpointFolder::save(std::int64_t step, const std::vector<CheckpointFile>& contents,
                            const nlohmann::json& values) {
  RN_CHECK(step >= 0, "step ", step);
  for (const CheckpointFile& content : contents) {
    RN_CHECK(detail::is_checkpoint_file_name(content.name), "not a checkpoint's file name: ", content.name);
  }
  files_.make_directory(directory_);
  try {
    remove_leftovers();  // first, so that they do not take the room that this one needs
  } catch (const Error& error) {
    log_warning("leftovers of an interrupted save stay in ", directory_, ": ", error.what());
  }
  const std::string temporary = temporary_path(path_of(std::to_string(step)));
  try {
    detail::Manifest manifest{step, values, {}};
    const std::string text = write_folder(files_, temporary, manifest, contents);
    verify_folder(files_, temporary, contents, manifest, text);
    publish(step, temporary);
  } catch (...) {
    try_remove_folder(files_, temporary);
    throw;
  }
  write_link_atomically(files_, path_of("last"), std::to_string(step));
}

// Note [Replacing a checkpoint]
void CheckpointFolder::publish(std::int64_t step, const std::string& temporary) {
  const std::string folder = path_of(std::to_string(step));
  const bool replaces = files_.exists(folder);
  if (replaces) {
    files_.rename(folder, path_of(replaced_name(step)));
    files_.sync_directory(directory_);  // the second rename must not become durable before the first
  }
  try {
    files_.rename(temporary, folder);
  } catch (...) {
    if (replaces) finish_replacement(step);
    throw;
  }
  files_.sync_directory(directory_);
  if (replaces) finish_replacement(step);
}

// Brings a replacement to its end, wherever it was interrupted.
void CheckpointFolder::finish_replacement(std::int64_t step) {
  const std::string folder = path_of(std::to_string(step));
  const std::string replaced = path_of(replaced_name(step));
  if (has_manifest(folder) || !has_manifest(replaced)) {
    remove_checkpoint(replaced);
  } else {
    if (files_.exists(folder)) remove_checkpoint(folder);
    files_.rename(replaced, folder);
    files_.sync_directory(directory_);
  }
}

void CheckpointFolder::remove_checkpoint(const std::string& folder) {
  const std::string manifest = folder + "/" + detail::kManifestName;
  if (files_.exists(manifest)) {
    files_.remove(manifest);
    files_.sync_directory(folder);  // before any other file goes: a manifest promises all of them
  }
  for (const std::string& name : files_.list(folder)) files_.remove(folder + "/" + name);
  files_.remove(folder);
}

// What a crash can leave: temporaries, an unfinished replacement, a folder whose manifest is gone already.
void CheckpointFolder::remove_leftovers() {
  for (const std::string& name : files_.list(directory_)) {
    if (is_temporary_name(name)) {
      if (files_.read_link(path_of(name)).empty()) {
        remove_checkpoint(path_of(name));
      } else {
        files_.remove(path_of(name));
      }
    } else if (const auto replaced = step_of_replaced(name)) {
      finish_replacement(*replaced);
    }
  }
  for (const std::string& name : files_.list(directory_)) {
    if (step_of(name) && !has_manifest(path_of(name))) remove_checkpoint(path_of(name));
  }
}

void CheckpointFolder::set_best(std::int64_t step) {
  RN_CHECK(has_manifest(path_of(std::to_string(step))), "there is no checkpoint of step ", step);
  write_link_atomically(files_, path_of("best"), std::to_string(step));
}

std::vector<std::int64_t> CheckpointFolder::steps() const {
  std::vector<std::int64_t> found;
  if (!files_.exists(directory_)) return found;
  for (const std::string& name : files_.list(directory_)) {
    auto step = step_of(name);
    if (!step) step = step_of_replaced(name);
    if (step && has_manifest(path_of(name))) found.push_back(*step);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::optional<std::int64_t> CheckpointFolder::last() const {
  const auto all = steps();
  return all.empty() ? std::nullopt : std::optional(all.back());
}

std::optional<std::int64_t> CheckpointFolder::best() const {
  const auto step = step_of(files_.read_link(path_of("best")));
  return step && has_manifest(folder_of(*step)) ? step : std::nullopt;
}

void CheckpointFolder::prune(int keep) {
  RN_CHECK(keep >= 1, "prune() keeps at least the last checkpoint");
  if (!files_.exists(directory_)) return;
  remove_leftovers();
  auto removable = steps();
  removable.resize(removable.size() - std::min(removable.size(), static_cast<std::size_t>(keep)));
  const auto best_step = best();
  for (const std::int64_t step : removable) {
    if (step != best_step) remove_checkpoint(path_of(std::to_string(step)));
  }
}

void CheckpointFolder::drop_after(std::int64_t step) {
  if (!files_.exists(directory_)) return;
  const auto known = steps();
  if (known.empty() || known.back() <= step) return;
  const auto kept = std::upper_bound(known.begin(), known.end(), step);
  if (kept != known.begin()) write_link_atomically(files_, path_of("last"), std::to_string(*std::prev(kept)));
  for (auto newer = known.rbegin(); newer != known.rend() && *newer > step; ++newer) {
    remove_checkpoint(path_of(std::to_string(*newer)));
  }
}

LoadedCheckpoint CheckpointFolder::load(std::int64_t step) const {
  auto checkpoint = load_checkpoint(files_, folder_of(step));
  if (checkpoint.step != step) {
    throw DataError(cat(checkpoint.path, "/", detail::kManifestName, " is that of step ", checkpoint.step,
                        ", not ", step));
  }
  return checkpoint;
}

}  // namespace rn::io
