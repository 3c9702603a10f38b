// Decoder of torchvision's and Keras' CIFAR-10 files (cifar-10-batches-py): pickled dicts with 'data' and
// 'labels'.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace rn::data {

// Decodes a batch of exactly `labels.size()` records into `pixels` [n, 3, 32, 32] and `labels` [n], running
// no code of the file. Throws DataError that names `path` and what is wrong: not such a pickle, truncated,
// another count, or the record whose label is not 0 to 9.
void decode_cifar_pickle(std::span<const std::byte> bytes, const std::string& path,
                         std::span<std::uint8_t> pixels, std::span<std::uint8_t> labels);

}  // namespace rn::data
