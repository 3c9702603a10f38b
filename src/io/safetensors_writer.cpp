#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "io/safetensors.h"
#include "io/safetensors_format.h"

namespace rn::io {
namespace {

std::string quoted(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw InternalError("a name or value for a safetensors file is not UTF-8");
  }
}

std::string_view dtype_name(DType dtype) {
  for (const auto& [known, name] : detail::kDTypeNames) {
    if (known == dtype) return name;
  }
  throw InternalError("dtype without a safetensors name");
}

std::string join(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t value : values) text += (text.empty() ? "" : ",") + std::to_string(value);
  return text;
}

std::string make_header(std::span<const TensorView> tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> members;
  if (!metadata.empty()) {
    std::string text;
    for (const auto& [key, value] : metadata)
      text += (text.empty() ? "" : ",") + quoted(key) + ":" + quoted(value);
    members.push_back(cat('"', detail::kMetadataKey, "\":{", text, '}'));
  }
  std::set<std::string_view> names;
  std::int64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    RN_CHECK(tensor.name != detail::kMetadataKey, "no tensor may have this name");
    RN_CHECK(names.insert(tensor.name).second, "two tensors are named ", tensor.name);
    const auto size = detail::byte_size(tensor.shape, size_of(tensor.dtype));
    RN_CHECK(size && static_cast<std::uint64_t>(*size) == tensor.bytes.size(), tensor.name, " has ",
             tensor.bytes.size(), " bytes, not those of ", dtype_name(tensor.dtype), " [", join(tensor.shape),
             "]");
    members.push_back(cat(quoted(tensor.name), ":{\"dtype\":\"", dtype_name(tensor.dtype), "\",\"shape\":[",
                          join(tensor.shape), "],\"data_offsets\":[", offset, ',', offset + *size, "]}"));
    offset += *size;
  }
  std::string header = "{";
  for (std::size_t i = 0; i < members.size(); ++i) header += (i == 0 ? "" : ",") + members[i];
  header += "}";
  while (header.size() % 8 != 0) header += ' ';
  return header;
}

}  // namespace

void write_safetensors(WritableFile& file, std::span<const TensorView> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = make_header(tensors, metadata);
  RN_CHECK(header.size() <= detail::kMaxHeaderBytes, "the header has ", header.size(), " bytes");
  const std::uint64_t length = header.size();  // little-endian, as core/tensor_hash.cpp asserts
  file.append(std::as_bytes(std::span(&length, 1)));
  file.append(std::as_bytes(std::span(header)));
  for (const TensorView& tensor : tensors) file.append(tensor.bytes);
}

}  // namespace rn::io
