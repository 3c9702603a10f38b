// Text that a signal handler may put together: a fixed buffer, no allocation, no locale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rn::dist {

// Writes all of it; false where the file takes no more. Async-signal-safe.
bool write_all(int file, std::string_view text) noexcept;

// Everything here is async-signal-safe.
class SignalSafeText {
 public:
  // With a `file` the buffer is written there whenever it is full; without one the text is cut.
  explicit SignalSafeText(int file = -1) noexcept : file_(file) {}

  SignalSafeText& operator<<(std::string_view text) noexcept;
  SignalSafeText& operator<<(std::int64_t value) noexcept;
  // No operator: it would take string literals too.
  SignalSafeText& put_address(const void* address) noexcept;

  std::string_view view() const { return {text_, size_}; }
  // Writes what is left; true where all of the text has reached the file.
  bool flush() noexcept;

 private:
  SignalSafeText& number(std::uint64_t value, unsigned base) noexcept;

  const int file_;
  bool written_ = true;
  std::size_t size_ = 0;
  char text_[4096];
};

}  // namespace rn::dist
