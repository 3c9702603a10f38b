#include "io/atomic_file.h"

#include <atomic>
#include <chrono>
#include <random>

#include "core/error.h"
#include "core/tensor_hash.h"

namespace rn::io {
namespace {

constexpr std::string_view kInfix = ".tmp-";
constexpr std::size_t kRandomDigits = 16;

// Not part of the run's randomness: two processes must not take one name.
std::uint64_t fresh_number() {
  static std::atomic<std::uint64_t> calls = 0;
  static const std::uint64_t process = [] {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
  }();
  const std::uint64_t parts[] = {
      process, ++calls,
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count())};
  return tensor_hash(std::as_bytes(std::span(parts)));
}

// Removes the temporary unless it was published. The error that leads here is the one worth reporting.
class Cleanup {
 public:
  Cleanup(FileSystem& files, const std::string& path) : files_(files), path_(path) {}
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  ~Cleanup() {
    if (published_) return;
    try {
      files_.remove(path_);
    } catch (const std::exception&) {
    }
  }
  void published() { published_ = true; }

 private:
  FileSystem& files_;
  const std::string& path_;
  bool published_ = false;
};

}  // namespace

std::string temporary_path(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  const std::size_t name = slash == std::string::npos ? 0 : slash + 1;
  return cat(path.substr(0, name), ".", path.substr(name), kInfix, hash_to_hex(fresh_number()));
}

bool is_temporary_name(std::string_view name) {
  const std::size_t infix = name.rfind(kInfix);
  return name.starts_with('.') && infix != std::string_view::npos &&
         name.size() == infix + kInfix.size() + kRandomDigits &&
         name.find_first_not_of("0123456789abcdef", infix + kInfix.size()) == std::string_view::npos;
}

void write_file_atomically(FileSystem& files, const std::string& path,
                           const std::function<void(WritableFile&)>& write) {
  const std::string temporary = temporary_path(path);
  const auto file = files.create(temporary);
  Cleanup cleanup(files, temporary);
  write(*file);
  file->share();
  file->sync();
  file->close();
  files.rename(temporary, path);
  cleanup.published();
  files.sync_directory(parent_of(path));
}

void write_file_atomically(FileSystem& files, const std::string& path, std::span<const std::byte> bytes) {
  write_file_atomically(files, path, [&](WritableFile& file) { file.append(bytes); });
}

void write_file_atomically(FileSystem& files, const std::string& path, std::string_view text) {
  write_file_atomically(files, path, std::as_bytes(std::span(text)));
}

void write_link_atomically(FileSystem& files, const std::string& path, const std::string& target) {
  const std::string temporary = temporary_path(path);
  files.symlink(target, temporary);
  Cleanup cleanup(files, temporary);
  files.rename(temporary, path);
  cleanup.published();
  files.sync_directory(parent_of(path));
}

}  // namespace rn::io
