#include "data/cifar_writer.h"

#include <filesystem>

#include "core/error.h"
#include "data/cifar_format.h"
#include "io/atomic_file.h"
#include "io/file_system.h"

namespace rn::data {
namespace {

namespace fs = std::filesystem;

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  const auto file = io::posix_file_system().create(path.string());
  file->append(bytes);
  file->share();
  file->sync();
  file->close();
}

void write_text(const fs::path& path, const std::string& text) {
  write_file(path, std::as_bytes(std::span(text)));
}

void write_records(const fs::path& path, const ImageSet& images, std::int64_t first, std::int64_t count) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(static_cast<std::size_t>(count * kCifarRecordBytes));
  for (std::int64_t i = first; i < first + count; ++i) {
    const auto image = images.image(i);
    bytes.push_back(images.labels[static_cast<std::size_t>(i)]);
    bytes.insert(bytes.end(), image.begin(), image.end());
  }
  write_file(path, std::as_bytes(std::span(bytes)));
}

void write_contents(const fs::path& folder, const ImageSet& train, const ImageSet& test,
                    const CifarWriteOptions& options) {
  const auto& names = cifar_file_names(CifarEncoding::kBinary);
  const std::int64_t per_file = train.size / kCifarTrainFiles;
  for (int i = 0; i < kCifarTrainFiles; ++i) {
    write_records(folder / names[static_cast<std::size_t>(i)], train, i * per_file, per_file);
  }
  write_records(folder / names.back(), test, 0, test.size);
  std::string classes;
  for (const auto& name : cifar_class_names()) classes += name + "\n";
  write_text(folder / "batches.meta.txt", classes);
  if (options.synthetic) {
    write_text(folder / kSyntheticMarker, cat("train_records_per_file ", per_file, "\ntest_records ",
                                              test.size, "\nseed ", options.seed, "\n"));
  }
  io::posix_file_system().sync_directory(folder.string());
}

}  // namespace

std::string write_cifar_binary(const ImageSet& train, const ImageSet& test, const std::string& root,
                               const CifarWriteOptions& options) {
  for (const ImageSet* images : {&train, &test}) {
    RN_CHECK(images->channels == 3 && images->height == 32 && images->width == 32, "not CIFAR's image shape");
  }
  RN_CHECK(train.size % kCifarTrainFiles == 0, train.size, " training images for five files");
  auto& files = io::posix_file_system();
  const fs::path target = fs::path(root) / cifar_folder_name(CifarEncoding::kBinary);
  if (files.exists(target.string()) && !options.replace) {
    throw DataError(cat("[data] ", target.string(), " exists already; --force replaces it"));
  }
  files.make_directory(root);
  const fs::path fresh = io::temporary_path(target.string());
  const fs::path old = io::temporary_path(target.string());
  std::error_code ignored;
  try {
    files.make_directory(fresh.string());
    write_contents(fresh, train, test, options);
    // A folder cannot be renamed over a filled one, so the old one steps aside first.
    if (files.exists(target.string())) files.rename(target.string(), old.string());
    files.rename(fresh.string(), target.string());
  } catch (...) {
    if (fs::exists(old, ignored) && !fs::exists(target, ignored)) fs::rename(old, target, ignored);
    fs::remove_all(fresh, ignored);
    throw;
  }
  fs::remove_all(old, ignored);
  files.sync_directory(root);
  return target.string();
}

}  // namespace rn::data
