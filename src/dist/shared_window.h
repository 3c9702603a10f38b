// Memory that several processes of one machine map: anonymous (nothing is left behind when processes die, and
// the size of /dev/shm does not matter), found by the other processes through a handle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace rn::dist {

// How another process of this machine finds a window while its maker keeps the handle open. Plain data.
struct WindowHandle {
  char path[64] = {};
  std::uint64_t inode = 0;  // proves that the path leads to this window and not to another process's file
};

// Owns one mapping; move-only.
class SharedWindow {
 public:
  SharedWindow() = default;
  // Zero-filled; pages are taken where they are first touched. Throws EnvironmentError.
  [[nodiscard]] static SharedWindow create(std::size_t bytes);
  [[nodiscard]] static SharedWindow attach(const WindowHandle& handle, std::size_t bytes);
  SharedWindow(SharedWindow&& other) noexcept;
  SharedWindow& operator=(SharedWindow&& other) noexcept;
  ~SharedWindow();

  const WindowHandle& handle() const { return handle_; }
  // Once all processes are attached: nobody can attach any more.
  void close_handle();

  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  void map(int file, std::size_t bytes);

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  int file_ = -1;  // the maker's, until close_handle
  WindowHandle handle_;
};

}  // namespace rn::dist
