// Rows of bytes in files of one folder, one per client, for what does not fit into memory.
//
// The files live as long as the process that wrote them needs them: nothing is synced, and what an earlier
// process left in the folder is removed. No link is followed, neither to write nor to read, and a file is
// never changed once it is written: a mapping shows the same bytes for as long as it lives, whatever happens
// to the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "io/file_system.h"

namespace rn::federated {

// A file as memory, read as it is used.
class MappedRow {
 public:
  // Throws Error (exit code 1), also where the file is a link or has another size.
  MappedRow(const std::string& path, std::size_t size);
  ~MappedRow();
  MappedRow(const MappedRow&) = delete;
  MappedRow& operator=(const MappedRow&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(memory_), size_}; }

 private:
  void* memory_ = nullptr;
  const std::size_t size_;
};

// Removes the folders in `above` that hold rows of earlier processes, and `above`. Follows no link; what
// cannot be removed is warned about.
void remove_row_folders(io::FileSystem& files, const std::string& above);

// Not thread-safe; what map() returned may be read and dropped on any thread.
class RowFiles {
 public:
  // Rows of `row_bytes` bytes (above 0). The folder is made when the first is written, and removed at the
  // end, together with the folder that it lies in if nothing else is in that. Borrows `files`.
  RowFiles(io::FileSystem& files, std::string folder, std::size_t row_bytes);
  ~RowFiles();
  RowFiles(const RowFiles&) = delete;
  RowFiles& operator=(const RowFiles&) = delete;

  bool contains(std::int64_t client) const { return clients_.contains(client); }
  std::int64_t size() const { return static_cast<std::int64_t>(clients_.size()); }

  // Throw Error (exit code 1), which names the file and what to do.
  void write(std::int64_t client, std::span<const std::byte> row);  // REQUIRES: !contains(client)
  std::shared_ptr<const MappedRow> map(std::int64_t client) const;  // REQUIRES: contains(client)
  void remove(std::int64_t client);                                 // likewise

 private:
  std::string path_of(std::int64_t client) const;
  void make_folder();

  io::FileSystem& files_;
  const std::string folder_;
  const std::size_t row_bytes_;
  bool folder_made_ = false;
  std::set<std::int64_t> clients_;
};

}  // namespace rn::federated
