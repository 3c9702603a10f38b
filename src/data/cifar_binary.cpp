#include "data/cifar_binary.h"

#include <algorithm>

#include "core/error.h"
#include "data/cifar_format.h"

namespace rn::data {

void check_cifar_size(std::int64_t bytes, std::int64_t records, const std::string& path) {
  const std::int64_t expected = records * kCifarRecordBytes;
  if (bytes < expected) {
    throw DataError(cat("[data] ", path, " is truncated: ", bytes, " bytes instead of ", expected, " (",
                        records, " records of ", kCifarRecordBytes, "); it ends in record ",
                        bytes / kCifarRecordBytes, ", byte ", bytes % kCifarRecordBytes, " of it. ",
                        kReplaceHint));
  }
  if (bytes > expected) {
    throw DataError(cat("[data] ", path, " is oversized: ", bytes, " bytes instead of ", expected, " (",
                        records, " records of ", kCifarRecordBytes, "); ", bytes - expected,
                        " bytes follow record ", records - 1, ". ", kReplaceHint));
  }
}

void check_cifar_label(std::uint8_t label, std::int64_t record, const std::string& path) {
  if (label < kCifarClasses) return;
  throw DataError(cat("[data] ", path, ": record ", record, " (byte ", record * kCifarRecordBytes,
                      ") has label ", int{label}, ", but labels are 0 to ", kCifarClasses - 1, ". ",
                      kReplaceHint));
}

void decode_cifar_binary(std::span<const std::byte> bytes, const std::string& path,
                         std::span<std::uint8_t> pixels, std::span<std::uint8_t> labels) {
  const auto records = static_cast<std::int64_t>(labels.size());
  RN_CHECK(static_cast<std::int64_t>(pixels.size()) == records * kCifarImageBytes);
  check_cifar_size(static_cast<std::int64_t>(bytes.size()), records, path);
  const auto* input = reinterpret_cast<const std::uint8_t*>(bytes.data());
  for (std::int64_t i = 0; i < records; ++i) {
    const std::uint8_t* record = input + i * kCifarRecordBytes;
    check_cifar_label(record[0], i, path);
    labels[i] = record[0];
    std::copy_n(record + 1, kCifarImageBytes, pixels.data() + i * kCifarImageBytes);
  }
}

}  // namespace rn::data
