// CIFAR-10's binary files, left where they are: an image is read when it is asked for. The kernel keeps what
// was read in its page cache, once for all processes of a machine, and takes the memory back where it is
// short.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/cifar_location.h"

namespace rn::data {

// The six files held open, so a set that is replaced under its name stays readable. Records count from 0
// through the training files, then the test file. Immutable once made and safe to read from any thread.
class CifarRecords {
 public:
  // REQUIRES: stays_in_files(location). Reads every label. Throws DataError: a file is missing, truncated or
  // oversized, or a label is none (which file, which record).
  explicit CifarRecords(const CifarLocation& location);
  ~CifarRecords();
  CifarRecords(const CifarRecords&) = delete;
  CifarRecords& operator=(const CifarRecords&) = delete;

  const std::vector<std::uint8_t>& labels() const { return labels_; }  // of all records

  // The planes of `record` [3, 32, 32], within `scratch`. Throws DataError where the file gives them no more,
  // or with another label than at the start: then it was written to.
  std::span<const std::uint8_t> read(std::int64_t record, std::vector<std::uint8_t>& scratch) const;

 private:
  struct File {
    std::string path;
    int descriptor = -1;
    std::int64_t first = 0;  // record
  };

  void open(const std::string& path, std::int64_t records);
  void close();
  const File& file_of(std::int64_t record) const;

  std::vector<File> files_;
  std::vector<std::uint8_t> labels_;
};

// Whether the images lie in files as they are: neither in an archive nor in pickles.
bool stays_in_files(const CifarLocation& location);

}  // namespace rn::data
