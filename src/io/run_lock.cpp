#include "io/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/error.h"
#include "core/host_name.h"
#include "core/utc_time.h"
#include "io/file_system.h"
#include "io/system_error.h"

namespace rn::io {
namespace {

// What the holder wrote: "process 4711 on node3, since 2025-01-02T03:04:05Z". It may be just about to.
std::string read_holder(int fd) {
  std::array<char, 512> text{};
  const ssize_t length = ::pread(fd, text.data(), text.size(), 0);
  std::string holder(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  holder.resize(std::min(holder.size(), holder.find('\n')));
  // Shown on a terminal: only what we would have written.
  for (char& c : holder) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return holder.empty() ? "another process that is just starting" : holder;
}

// A run that moves the old folder aside (run.overwrite) may have taken the file away between our open and our
// lock.
bool is_still_at(int fd, const std::string& path) {
  struct stat held{}, named{};
  return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

// Best effort: the lock holds whether or not the note about its holder could be written.
void write_holder(int fd) {
  const std::string text = cat("process ", ::getpid(), " on ", host_name(), ", since ", utc_now(), "\n");
  if (::ftruncate(fd, 0) == 0) [[maybe_unused]]
    const ssize_t written = ::pwrite(fd, text.data(), text.size(), 0);
}

}  // namespace

RunLock::RunLock(const std::string& run_dir) : path_(run_dir + "/.lock") {
  posix_file_system().make_directory(run_dir);
  while (true) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd_ < 0) {
      if (errno == EINTR) continue;
      raise_write_error(path_, errno);
    }
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      const std::string holder = error == EWOULDBLOCK ? read_holder(fd_) : "";
      ::close(fd_);
      if (error == EINTR) continue;
      if (error == EWOULDBLOCK) {
        throw EnvironmentError(
            cat("the run folder ", run_dir, " is in use by ", holder,
                ". Wait for that run or stop it, or give this one another run.name or run.dir."));
      }
      throw EnvironmentError(cat("cannot lock ", path_, ": ", describe_errno(error),
                                 ". Choose a run.dir on a file system with file locks."));
    }
    if (is_in_place()) break;
    ::close(fd_);
  }
  write_holder(fd_);
}

bool RunLock::is_in_place() const { return is_still_at(fd_, path_); }

RunLock::~RunLock() {
  // An empty file tells who looks by hand that nobody holds it; closing drops the lock.
  [[maybe_unused]] const int ignored = ::ftruncate(fd_, 0);
  ::close(fd_);
}

}  // namespace rn::io
