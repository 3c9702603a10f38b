#include "dist/signal_safe_text.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace rn::dist {

bool write_all(int file, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

SignalSafeText& SignalSafeText::operator<<(std::string_view text) noexcept {
  while (!text.empty()) {
    if (size_ == sizeof(text_)) {
      if (file_ < 0) break;
      flush();
    }
    const std::size_t room = sizeof(text_) - size_;
    const std::size_t taken = text.size() < room ? text.size() : room;
    std::memcpy(text_ + size_, text.data(), taken);
    size_ += taken;
    text.remove_prefix(taken);
  }
  return *this;
}

SignalSafeText& SignalSafeText::operator<<(std::int64_t value) noexcept {
  if (value >= 0) return number(static_cast<std::uint64_t>(value), 10);
  return (*this << "-").number(std::uint64_t{0} - static_cast<std::uint64_t>(value), 10);
}

SignalSafeText& SignalSafeText::put_address(const void* address) noexcept {
  return (*this << "0x").number(reinterpret_cast<std::uintptr_t>(address), 16);
}

SignalSafeText& SignalSafeText::number(std::uint64_t value, unsigned base) noexcept {
  char digits[24];
  std::size_t at = sizeof(digits);
  do {
    digits[--at] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value > 0);
  return *this << std::string_view(digits + at, sizeof(digits) - at);
}

bool SignalSafeText::flush() noexcept {
  written_ = file_ >= 0 && write_all(file_, view()) && written_;
  size_ = 0;
  return written_;
}

}  // namespace rn::dist
