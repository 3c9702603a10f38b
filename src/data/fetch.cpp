#include "data/fetch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "data/cifar_dataset.h"
#include "data/cifar_writer.h"
#include "data/download.h"
#include "data/sha256.h"
#include "io/file_system.h"

namespace rn::data {
namespace {

namespace fs = std::filesystem;

// An exclusive lock on a file for as long as it lives; the system drops it when the process dies.
class FileLock {
 public:
  FileLock(const std::string& path, std::ostream& out)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (fd_ < 0)
      throw Error(ExitCode::kFailure, cat("[data] cannot write ", path, ": ", std::strerror(errno)));
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    out << "Another process is fetching into this folder; waiting for it\n" << std::flush;
    while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~FileLock() { ::close(fd_); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  const int fd_;
};

bool is_wanted_archive(const std::string& path, const FetchOptions& options) {
  std::error_code error;
  return fs::file_size(path, error) == options.size && !error && sha256_of_file(path) == options.sha256;
}

// A user may name the folder of the files itself; archive and folder are put beside each other in its parent.
std::string parent_root(const std::string& root) {
  fs::path path = fs::path(root).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.filename() != cifar_folder_name(CifarEncoding::kBinary)) return root;
  return path.has_parent_path() ? path.parent_path().string() : ".";
}

}  // namespace

std::string fetch_cifar10(const FetchOptions& options, std::ostream& out) {
  const std::string root = parent_root(cifar_root(options.root));
  io::posix_file_system().make_directory(root);
  const FileLock lock((fs::path(root) / ".fetch.lock").string(), out);
  if (auto present = find_cifar(root); present && !present->archive && !options.force) {
    if (present->synthetic) {
      throw DataError(cat("[data] ", present->path,
                          " holds a synthetic set. Replace it with: rn_dist data fetch --force",
                          options.root.empty() ? "" : cat(" --root ", options.root)));
    }
    present->counts = options.counts;
    if (looks_complete(*present)) {
      out << "CIFAR-10 is there already: " << present->path << "\n";
      return present->path;
    }
    out << present->path << " is incomplete: fetching the set anew\n";
  }
  const std::string archive = (fs::path(root) / kCifarArchive).string();
  if (!is_wanted_archive(archive, options)) {
    download_file({.urls = options.urls,
                   .path = archive,
                   .size = options.size,
                   .sha256 = options.sha256,
                   .attempts = options.attempts,
                   .retry_delay = options.retry_delay,
                   .terminal = options.terminal},
                  out);
  }
  out << "Checksum right; unpacking\n" << std::flush;
  const CifarSplits splits = read_cifar({.path = archive, .archive = true, .counts = options.counts});
  const std::string folder = write_cifar_binary(splits.train, splits.test, root, {.replace = true});
  if (!options.keep_archive) fs::remove(archive);
  out << "CIFAR-10 is in " << folder << "\n";
  return folder;
}

}  // namespace rn::data
