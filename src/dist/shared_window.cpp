#include "dist/shared_window.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace rn::dist {
namespace {

[[noreturn]] void fail(const char* what, std::size_t bytes) {
  throw EnvironmentError(
      cat("[dist] ", what, " for ", bytes, " bytes of shared memory: ", std::strerror(errno),
          ". The ranks of a machine share memory: they need one user, one process namespace "
          "(one container) and enough memory."));
}

// An open file without a name that outlives it, and the path by which other processes reach it.
int open_anonymous(WindowHandle& handle) {
#ifdef __linux__
  const int file = memfd_create("rn_dist", MFD_CLOEXEC);
  std::snprintf(handle.path, sizeof handle.path, "/proc/%ld/fd/%d", static_cast<long>(getpid()), file);
  return file;
#else
  static std::atomic<int> count{0};
  std::snprintf(handle.path, sizeof handle.path, "/rn_dist.%ld.%d", static_cast<long>(getpid()), count++);
  return shm_open(handle.path, O_RDWR | O_CREAT | O_EXCL, 0600);
#endif
}

int open_other(const WindowHandle& handle) {
#ifdef __linux__
  return open(handle.path, O_RDWR | O_CLOEXEC);
#else
  return shm_open(handle.path, O_RDWR, 0600);
#endif
}

std::uint64_t inode_of(int file) {
  struct stat status{};
  return fstat(file, &status) == 0 ? static_cast<std::uint64_t>(status.st_ino) : 0;
}

}  // namespace

SharedWindow SharedWindow::create(std::size_t bytes) {
  SharedWindow window;
  window.file_ = open_anonymous(window.handle_);
  if (window.file_ < 0) fail("cannot make a window", bytes);
  if (ftruncate(window.file_, static_cast<off_t>(bytes)) != 0) fail("cannot size a window", bytes);
  window.handle_.inode = inode_of(window.file_);
  window.map(window.file_, bytes);
  return window;
}

SharedWindow SharedWindow::attach(const WindowHandle& handle, std::size_t bytes) {
  SharedWindow window;
  const int file = open_other(handle);
  if (file < 0) fail("cannot open another rank's window", bytes);
  window.file_ = file;  // closed with the window, whatever happens below
  if (inode_of(file) != handle.inode) {
    throw EnvironmentError(cat("[dist] ", handle.path,
                               " is not the window of the rank that named it. The ranks of a "
                               "machine must run in one process namespace (one container)."));
  }
  window.handle_ = handle;
  window.map(file, bytes);
  close(std::exchange(window.file_, -1));
  return window;
}

SharedWindow::SharedWindow(SharedWindow&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      file_(std::exchange(other.file_, -1)),
      handle_(other.handle_) {}

SharedWindow& SharedWindow::operator=(SharedWindow&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(file_, other.file_);
  std::swap(handle_, other.handle_);
  return *this;
}

SharedWindow::~SharedWindow() {
  if (data_) munmap(data_, size_);
  close_handle();
}

void SharedWindow::close_handle() {
  if (file_ < 0) return;
  close(std::exchange(file_, -1));
#ifndef __linux__
  shm_unlink(handle_.path);
#endif
}

void SharedWindow::map(int file, std::size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (data == MAP_FAILED) fail("cannot map a window", bytes);
  data_ = static_cast<std::byte*>(data);
  size_ = bytes;
#ifdef MADV_HUGEPAGE
  madvise(data, bytes,
          MADV_HUGEPAGE);  // a hint: fewer TLB misses where the kernel allows it for shared memory
#endif
}

}  // namespace rn::dist
