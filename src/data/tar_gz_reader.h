// A streaming reader of .tar.gz archives that writes nothing to disk: wanted members are handed over in
// memory.
//
// Archives are hostile input: names are only compared, never used as paths; links, devices and everything
// else that is no regular file is skipped; headers need a right checksum; the unpacked size and the member
// count are limited, so a compression bomb ends in an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rn::data {

class TarVisitor {
 public:
  virtual ~TarVisitor() = default;
  // Asked for every regular file, with its name as it stands there but for a leading "./". A wanted file is
  // kept in memory until it is complete, so check `size` first.
  virtual bool wants(const std::string& name, std::uint64_t size) = 0;
  virtual void file(const std::string& name, std::vector<std::byte> bytes) = 0;
};

// Reads the archive to its end. Throws DataError: missing, no gzip, truncated, corrupt, over the limits.
// Exceptions of the visitor pass through.
void read_tar_gz(const std::string& path, TarVisitor& visitor);

}  // namespace rn::data
