// What reader and writer of safetensors share. Internal to io.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/dtype.h"

namespace rn::io::detail {

inline constexpr std::size_t kHeaderLengthBytes = 8;
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // as in the reference implementation
inline constexpr int kMaxJsonDepth = 127;                      // as in the reference's JSON parser
inline constexpr std::string_view kMetadataKey = "__metadata__";

inline constexpr std::array<std::pair<DType, std::string_view>, 7> kDTypeNames = {{{DType::kU8, "U8"},
                                                                                   {DType::kI32, "I32"},
                                                                                   {DType::kI64, "I64"},
                                                                                   {DType::kBF16, "BF16"},
                                                                                   {DType::kF16, "F16"},
                                                                                   {DType::kF32, "F32"},
                                                                                   {DType::kF64, "F64"}}};

// Product of the dimensions times `element_bytes`; nullopt where it does not fit into 63 bits. Overflow
// counts even if a later dimension is zero, as in the reference.
inline std::optional<std::int64_t> byte_size(const std::vector<std::int64_t>& shape,
                                             std::size_t element_bytes) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  std::int64_t product = 1;
  const auto multiply = [&](std::int64_t factor) {
    if (factor < 0 || (factor > 0 && product > kMax / factor)) return false;
    product *= factor;
    return true;
  };
  for (const std::int64_t size : shape) {
    if (!multiply(size)) return std::nullopt;
  }
  if (!multiply(static_cast<std::int64_t>(element_bytes))) return std::nullopt;
  return product;
}

}  // namespace rn::io::detail
