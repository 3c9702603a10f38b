#include "data/cifar_records.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "data/cifar_binary.h"

namespace rn::data {
namespace {

// The bytes of a file from `offset` on; false where it ends before, or cannot be read (errno; 0: its end).
bool read_all(int descriptor, std::int64_t offset, std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = ::pread(descriptor, bytes.data(), bytes.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = 0;
    if (got <= 0) return false;
    offset += got;
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
  return true;
}

std::string reason() { return errno == 0 ? "it ends there" : std::strerror(errno); }

}  // namespace

bool stays_in_files(const CifarLocation& location) {
  return !location.archive && location.encoding == CifarEncoding::kBinary;
}

CifarRecords::CifarRecords(const CifarLocation& location) {
  RN_CHECK(stays_in_files(location), location.path, " holds no plain records");
  try {
    for (int i = 0; i < kCifarFiles; ++i) {
      const auto& name = cifar_file_names(CifarEncoding::kBinary)[static_cast<std::size_t>(i)];
      open((std::filesystem::path(location.path) / name).string(), location.counts.of_file(i));
    }
  } catch (...) {
    close();
    throw;
  }
}

CifarRecords::~CifarRecords() { close(); }

void CifarRecords::close() {
  for (const File& file : files_) ::close(file.descriptor);
}

// Through a small buffer: of a set as large as memory only the labels stay.
void CifarRecords::open(const std::string& path, std::int64_t records) {
  constexpr std::int64_t kRecordsAtOnce = 128;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0 && errno == ENOENT) throw DataError(missing_cifar_file(path));
  if (descriptor < 0) throw DataError(cat("[data] cannot read ", path, ": ", std::strerror(errno)));
  const auto first = static_cast<std::int64_t>(labels_.size());
  files_.push_back({path, descriptor, first});
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) {
    throw DataError(cat("[data] cannot read ", path, ": ", std::strerror(errno)));
  }
  check_cifar_size(status.st_size, records, path);
  std::vector<std::uint8_t> buffer(
      static_cast<std::size_t>(std::min(records, kRecordsAtOnce) * kCifarRecordBytes));
  for (std::int64_t record = 0; record < records; record += kRecordsAtOnce) {
    const std::int64_t count = std::min(kRecordsAtOnce, records - record);
    const auto part = std::span(buffer).first(static_cast<std::size_t>(count * kCifarRecordBytes));
    if (!read_all(descriptor, record * kCifarRecordBytes, part)) {
      throw DataError(cat("[data] cannot read ", path, " from record ", record, " on: ", reason()));
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const std::uint8_t label = buffer[static_cast<std::size_t>(i * kCifarRecordBytes)];
      check_cifar_label(label, record + i, path);
      labels_.push_back(label);
    }
  }
}

const CifarRecords::File& CifarRecords::file_of(std::int64_t record) const {
  const auto next =
      std::find_if(files_.begin(), files_.end(), [&](const File& file) { return file.first > record; });
  return *(next - 1);
}

std::span<const std::uint8_t> CifarRecords::read(std::int64_t record,
                                                 std::vector<std::uint8_t>& scratch) const {
  RN_CHECK(record >= 0 && record < static_cast<std::int64_t>(labels_.size()));
  const File& file = file_of(record);
  const std::int64_t in_file = record - file.first;
  scratch.resize(kCifarRecordBytes);
  if (!read_all(file.descriptor, in_file * kCifarRecordBytes, scratch)) {
    throw DataError(cat("[data] ", file.path, ": record ", in_file,
                        " could be read at the start and cannot be now: ", reason(),
                        ". With data.storage: memory a run needs the files at its start only"));
  }
  if (scratch[0] != labels_[static_cast<std::size_t>(record)]) {
    throw DataError(cat("[data] ", file.path, ": record ", in_file, " has label ", int{scratch[0]},
                        ", at the start it had ", int{labels_[static_cast<std::size_t>(record)]},
                        ": the file was written to during the run. ", kReplaceHint));
  }
  return std::span(scratch).subspan(1);
}

}  // namespace rn::data
