// Reader and writer of the safetensors format (an 8-byte little-endian header length, a JSON header, raw tensors).
//
// The reader treats its input as hostile: sizes are bounded, ranges must be inside the file, in order, without gaps or
// overlaps, names unique; nothing is executed. It agrees with the reference Python reader on what is a valid file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "io/file_system.h"

namespace rn::io {

// A tensor to be written: contiguous, row-major, little-endian.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

// A whole file in memory; views point into `storage`.
struct SafetensorsFile {
  std::vector<std::byte> storage;
  std::vector<TensorView> tensors;                    // in file order
  std::map<std::string, std::string> metadata;

  const TensorView* find(std::string_view name) const;   // nullptr: absent
};

// Throws DataError that names `path` and what is wrong with it.
SafetensorsFile read_safetensors(FileSystem& files, const std::string& path);
SafetensorsFile parse_safetensors(std::vector<std::byte> bytes, const std::string& path_for_messages);

// Writes to an open file, without publishing it. Tensors are stored in the order given, data 8-byte aligned.
void write_safetensors(WritableFile& file, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace rn::io
