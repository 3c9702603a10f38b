// A file that grows by whole records: each is one write(2), so a reader beside the run sees it at once and a
// killed run leaves at most one torn record.
//
// Reports must not end a training run: no function throws. A failed write (full disk) warns once, takes back
// what it wrote of the record, so that the file stays a row of whole records, and the next append tries
// again. A symbolic link in the file's place is not followed: it would be someone else's file that grows.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace rn::report {

// Not thread-safe. Move-only.
class AppendFile {
 public:
  enum class Open { kExistingOrNew, kNewOnly };

  AppendFile() = default;  // closed: append() does nothing
  AppendFile(std::string path, Open mode);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  ~AppendFile();

  bool is_open() const { return descriptor_ >= 0; }
  const std::string& path() const { return path_; }

  // True: the whole record stands in the file.
  bool append(std::span<const std::byte> record);
  bool append(const std::string& record) { return append(std::as_bytes(std::span(record))); }

  // Cuts the file to its first `size` bytes. False after a warning.
  bool truncate(std::int64_t size);

 private:
  void warn_once(const char* what, int error);
  void close();

  std::string path_;
  int descriptor_ = -1;
  bool warned_ = false;
};

}  // namespace rn::report
