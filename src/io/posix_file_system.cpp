#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <new>

#include "core/error.h"
#include "io/file_system.h"
#include "io/system_error.h"

namespace rn::io {
namespace {

// Repeats a system call that a signal interrupted.
template <typename Call>
auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result == -1 && errno == EINTR);
  return result;
}

// An owned file descriptor. Move-only by being neither.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { release(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  // Closes; returns errno. Never repeated: after EINTR Linux has freed the descriptor, and another thread may
  // own it.
  int release() {
    if (fd_ < 0) return 0;
    const int error = ::close(fd_) == 0 || errno == EINTR ? 0 : errno;
    fd_ = -1;
    return error;
  }

 private:
  int fd_;
};

// umask() can only be read by setting it, which would race with files that other threads create; Linux shows
// it here.
mode_t process_umask() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    unsigned mask = 0;
    if (word == "Umask:" && status >> std::oct >> mask) return static_cast<mode_t>(mask);
  }
  const mode_t mask = ::umask(022);
  ::umask(mask);
  return mask;
}

class PosixWritableFile : public WritableFile {
 public:
  explicit PosixWritableFile(const std::string& path)
      : path_(path), fd_(retry([&] {
          return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        })) {
    if (!fd_.is_open()) raise_write_error(path_, errno);
  }

  void append(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = retry([&] { return ::write(fd_.get(), bytes.data(), bytes.size()); });
      if (written < 0) raise_write_error(path_, errno);
      if (written == 0) raise_write_error(path_, ENOSPC);  // no progress and no reason: do not spin
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  void share() override {
    if (retry([&] { return ::fchmod(fd_.get(), 0666 & ~process_umask()); }) != 0) {
      // File systems without modes (FAT, some network mounts) refuse; the file then has the mount's mode
      // anyway.
      if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS) raise_write_error(path_, errno);
    }
  }

  void sync() override {
    if (retry([&] { return ::fsync(fd_.get()); }) != 0) raise_write_error(path_, errno);
#ifdef POSIX_FADV_DONTNEED
    // Who reads the file back to verify it should see the disk's bytes, not the cache's. Only advice.
    ::posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED);
#endif
  }

  void close() override {
    if (const int error = fd_.release()) raise_write_error(path_, error);
  }

 private:
  const std::string path_;
  Descriptor fd_;
};

class PosixFileSystem : public FileSystem {
 public:
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    return std::make_unique<PosixWritableFile>(path);
  }

  std::vector<std::byte> read(const std::string& path, std::uint64_t max_bytes) override {
    // O_NONBLOCK: opening a named pipe must not wait for its writer.
    const Descriptor fd(retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (!fd.is_open()) raise_read_error(path, errno);
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0) raise_read_error(path, errno);
    if (S_ISDIR(status.st_mode)) raise_read_error(path, EISDIR);
    if (!S_ISREG(status.st_mode)) throw DataError(cat("cannot read ", path, ": it is not a regular file"));
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size > max_bytes) {
      throw DataError(cat(path, " has ", size, " bytes, more than the ", max_bytes, " that it may have"));
    }

    std::vector<std::byte> bytes;
    try {
      bytes.resize(size);
    } catch (const std::exception&) {  // bad_alloc or length_error
      throw DataError(cat("cannot read ", path, ": its ", size, " bytes do not fit into memory"));
    }
    std::size_t filled = 0;
    while (filled < bytes.size()) {
      const ssize_t got =
          retry([&] { return ::read(fd.get(), bytes.data() + filled, bytes.size() - filled); });
      if (got < 0) raise_read_error(path, errno);
      if (got == 0) break;  // it was cut while we read: the caller's checks see a shorter file
      filled += static_cast<std::size_t>(got);
    }
    bytes.resize(filled);
    return bytes;
  }

  bool exists(const std::string& path) override {
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return false;
    raise_read_error(path, errno);
  }

  std::vector<std::string> list(const std::string& directory) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
    if (!stream) raise_read_error(directory, errno);
    std::vector<std::string> names;
    for (errno = 0; const dirent* entry = ::readdir(stream.get()); errno = 0) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    if (errno != 0) raise_read_error(directory, errno);
    std::sort(names.begin(), names.end());
    return names;
  }

  void make_directory(const std::string& path) override {
    std::vector<std::string> missing;
    for (std::string folder = path; !exists(folder); folder = parent_of(folder)) missing.push_back(folder);
    for (auto folder = missing.rbegin(); folder != missing.rend(); ++folder) {
      if (::mkdir(folder->c_str(), 0777) != 0 && errno != EEXIST) raise_write_error(path, errno);
      sync_entries(parent_of(*folder), /*must_be_readable=*/false);
    }
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) raise_write_error(path, errno);
    if (!S_ISDIR(status.st_mode)) raise_write_error(path, ENOTDIR);
  }

  void rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) raise_write_error(to, errno);
  }

  void remove(const std::string& path) override {
    if (::remove(path.c_str()) != 0) raise_write_error(path, errno);
  }

  void symlink(const std::string& target, const std::string& path) override {
    if (::symlink(target.c_str(), path.c_str()) != 0) raise_write_error(path, errno);
  }

  std::string read_link(const std::string& path) override {
    std::array<char, 4096> target;
    const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    if (length >= 0) return {target.data(), static_cast<std::size_t>(length)};
    if (errno == ENOENT || errno == EINVAL || errno == ENOTDIR) return {};
    raise_read_error(path, errno);
  }

  void sync_directory(const std::string& path) override { sync_entries(path, /*must_be_readable=*/true); }

 private:
  static void sync_entries(const std::string& path, bool must_be_readable) {
    const Descriptor fd(retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (!fd.is_open()) {
      if (errno == EACCES && !must_be_readable) return;  // a folder that we may write to and not list
      raise_write_error(path, errno);
    }
    // Some file systems (FUSE, 9p) have nothing to sync in a directory and say so with EINVAL.
    if (retry([&] { return ::fsync(fd.get()); }) != 0 && errno != EINVAL && errno != ENOTSUP) {
      raise_write_error(path, errno);
    }
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem& files = *new PosixFileSystem;  // never destroyed: threads may outlive main
  return files;
}

std::string parent_of(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return path.empty() ? "." : "/";
  const std::size_t slash = path.find_last_of('/', end);
  if (slash == std::string::npos) return ".";
  const std::size_t last = path.find_last_not_of('/', slash);
  return last == std::string::npos ? "/" : path.substr(0, last + 1);
}

}  // namespace rn::io
