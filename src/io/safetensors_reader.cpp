#include <algorithm>
#include <cstring>
#include <tuple>

#include "core/error.h"
#include "io/safetensors.h"
#include "io/safetensors_format.h"
#include "io/safetensors_header.h"

namespace rn::io {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{64} << 30;

// Names and types from a hostile file go into messages: cut, and without control characters.
std::string printable(std::string text, std::size_t max_length = 80) {
  if (text.size() > max_length) text = text.substr(0, max_length) + "...";
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

[[noreturn]] void reject(const std::string& path, const std::string& reason) {
  throw DataError(cat(path, " is not a valid safetensors file: ", printable(reason, 400)));
}

DType dtype_of(const detail::HeaderEntry& entry, const std::string& path) {
  std::string known_names;
  for (const auto& [dtype, name] : detail::kDTypeNames) {
    if (name == entry.dtype) return dtype;
    known_names += cat(known_names.empty() ? "" : ", ", name);
  }
  throw DataError(cat(path, ": tensor \"", printable(entry.name), "\" has dtype ", printable(entry.dtype),
                      ", which is not read here (supported: ", known_names, ")"));
}

// The views of all tensors in file order; together they must cover the data exactly.
std::vector<TensorView> make_views(std::vector<detail::HeaderEntry> entries, std::span<const std::byte> data,
                                   const std::string& path) {
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::vector<TensorView> views;
  views.reserve(entries.size());
  std::uint64_t covered = 0;
  for (detail::HeaderEntry& entry : entries) {
    const DType dtype = dtype_of(entry, path);
    const auto named = [&](const std::string& reason) {
      return cat("tensor \"", printable(entry.name), "\" ", reason);
    };
    if (entry.begin != covered || entry.end < entry.begin) {
      reject(path, named(cat("lies at bytes ", entry.begin, " to ", entry.end, ", and ", covered,
                             " is where it should begin (gap or overlap)")));
    }
    if (entry.end > data.size()) {
      reject(path,
             named(cat("ends at byte ", entry.end, " of ", data.size(), " bytes of data: the file was cut")));
    }
    const auto expected = detail::byte_size(entry.shape, size_of(dtype));
    if (!expected) reject(path, named("has a shape whose size overflows"));
    if (static_cast<std::uint64_t>(*expected) != entry.end - entry.begin) {
      reject(path,
             named(cat("has ", entry.end - entry.begin, " bytes, and its shape and dtype need ", *expected)));
    }
    views.push_back({std::move(entry.name), dtype, std::move(entry.shape),
                     data.subspan(entry.begin, entry.end - entry.begin)});
    covered = entry.end;
  }
  if (covered != data.size()) {
    reject(path, cat(data.size() - covered, " bytes at its end belong to no tensor"));
  }
  return views;
}

}  // namespace

const TensorView* SafetensorsFile::find(std::string_view name) const {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

SafetensorsFile parse_safetensors(std::vector<std::byte> bytes, const std::string& path_for_messages) {
  const std::string& path = path_for_messages;
  if (bytes.size() < detail::kHeaderLengthBytes) {
    reject(path, cat("it has ", bytes.size(), " bytes, fewer than the 8 of the header's length"));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), detail::kHeaderLengthBytes);
  if (length > detail::kMaxHeaderBytes) {
    reject(path,
           cat("its header would have ", length, " bytes, and ", detail::kMaxHeaderBytes, " are allowed"));
  }
  if (length > bytes.size() - detail::kHeaderLengthBytes) {
    reject(path, cat("its header of ", length, " bytes does not fit into the file's ", bytes.size(),
                     ": the file was cut"));
  }
  SafetensorsFile file;
  file.storage = std::move(bytes);
  const auto content = std::span<const std::byte>(file.storage).subspan(detail::kHeaderLengthBytes);
  const std::string_view text(reinterpret_cast<const char*>(content.data()), length);

  detail::Header header;
  if (const std::string error = detail::parse_safetensors_header(text, header); !error.empty())
    reject(path, error);
  file.metadata = std::move(header.metadata);
  file.tensors = make_views(std::move(header.entries), content.subspan(length), path);
  return file;
}

SafetensorsFile read_safetensors(FileSystem& files, const std::string& path) {
  return parse_safetensors(files.read(path, kMaxFileBytes), path);
}

}  // namespace rn::io
