// Reader and writer of the safetensors format (an 8-byte little-endian header length, a JSON header, raw
// tensors).
//
// The reader treats its input as hostile: sizes are bounded, ranges must be inside the file, without gaps or
// overlaps, names unique, JSON nesting limited; nothing is executed and nothing is allocated by sizes that
// the header claims. It agrees with the reference reader (Python's safetensors) on what is a valid file, and
// is stricter on purpose where that one guesses: it refuses a name that stands twice (the reference takes the
// last), a tensor described by a list or a dtype given as an object (its parser lets them pass), dimensions
// of 2^63 and more, and element types that DType lacks.
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

// A tensor to be written, or one that was read: contiguous, row-major, little-endian.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // numel * size_of(dtype) of them
};

// A whole file in memory; views point into `storage`. Move-only, since a copy's views would point into the
// original. Data is aligned for its type where the writer took care (this one and Python's do); copy with
// memcpy where unsure.
struct SafetensorsFile {
  SafetensorsFile() = default;
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;
  SafetensorsFile(SafetensorsFile&&) = default;
  SafetensorsFile& operator=(SafetensorsFile&&) = default;

  std::vector<std::byte> storage;
  std::vector<TensorView> tensors;  // in file order
  std::map<std::string, std::string> metadata;

  const TensorView* find(std::string_view name) const;  // nullptr: absent
};

// Throws DataError that names `path` and what is wrong with it.
SafetensorsFile read_safetensors(FileSystem& files, const std::string& path);
SafetensorsFile parse_safetensors(std::vector<std::byte> bytes, const std::string& path_for_messages);

// Writes to an open file, without publishing it. Tensors are stored in the order given, the first one at a
// multiple of 8 bytes. REQUIRES: unique names in UTF-8 other than "__metadata__", as many bytes as shape and
// dtype say; throws InternalError otherwise. Equal input gives equal bytes.
void write_safetensors(WritableFile& file, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace rn::io
