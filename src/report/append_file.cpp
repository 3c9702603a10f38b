#include "report/append_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/log.h"

namespace rn::report {

AppendFile::AppendFile(std::string path, Open mode) : path_(std::move(path)) {
  const int only_new = mode == Open::kNewOnly ? O_EXCL : 0;
  descriptor_ =
      ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | only_new, 0666);
  // A name that is taken is the caller's question, not a failure.
  if (descriptor_ < 0 && !(only_new != 0 && errno == EEXIST)) warn_once("cannot open", errno);
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      warned_(other.warned_) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  if (this != &other) {
    close();
    path_ = std::move(other.path_);
    descriptor_ = std::exchange(other.descriptor_, -1);
    warned_ = other.warned_;
  }
  return *this;
}

AppendFile::~AppendFile() { close(); }

bool AppendFile::append(std::span<const std::byte> record) {
  if (descriptor_ < 0) return false;
  const off_t before = ::lseek(descriptor_, 0, SEEK_END);
  std::size_t written = 0;
  while (written < record.size()) {
    const ssize_t n = ::write(descriptor_, record.data() + written, record.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      warn_once("cannot write", n < 0 ? errno : ENOSPC);
      // Half a record would make the next one unreadable too. Where it cannot be taken back, nothing more is
      // written.
      if (written > 0 && (before < 0 || ::ftruncate(descriptor_, before) != 0)) close();
      return false;
    }
    written += static_cast<std::size_t>(n);
  }
  return true;
}

bool AppendFile::truncate(std::int64_t size) {
  if (descriptor_ < 0) return false;
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) == 0) return true;
  warn_once("cannot cut", errno);
  return false;
}

void AppendFile::warn_once(const char* what, int error) {
  if (std::exchange(warned_, true)) return;
  log_warning("[report] ", what, " ", path_, ": ", std::strerror(error),
              "; the run goes on, records may be missing there");
}

void AppendFile::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace rn::report
