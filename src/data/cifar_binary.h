// Decoder of CIFAR-10's binary files: records of one label byte and 3072 pixel bytes, nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace rn::data {

// Decodes exactly `labels.size()` records of `bytes` into `pixels` [n, 3, 32, 32] and `labels` [n]. Throws
// DataError that names `path`, and the record where one is at fault: truncated, oversized, or a label byte
// above 9.
void decode_cifar_binary(std::span<const std::byte> bytes, const std::string& path,
                         std::span<std::uint8_t> pixels, std::span<std::uint8_t> labels);

// The parts of it, for who reads records otherwise. Throw DataError as it does.
void check_cifar_size(std::int64_t bytes, std::int64_t records, const std::string& path);
void check_cifar_label(std::uint8_t label, std::int64_t record, const std::string& path);

// The advice that ends every message about a broken file.
inline constexpr const char* kReplaceHint =
    "Replace the file, or fetch the set anew: rn_dist data fetch --force --root DIR (that of the set)";

}  // namespace rn::data
