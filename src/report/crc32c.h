// CRC-32C (Castagnoli), as TFRecord files frame their records with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace rn::report {

std::uint32_t crc32c(std::span<const std::byte> bytes);

// TFRecord's mask: a checksum of data that itself contains checksums would be weak.
std::uint32_t masked_crc32c(std::span<const std::byte> bytes);

}  // namespace rn::report
