#include "io/checkpoint_manifest.h"

#include <charconv>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/tensor_hash.h"
#include "io/json_number.h"

namespace rn::io::detail {
namespace {

constexpr std::string_view kFormat = "rn_dist checkpoint 1";
constexpr std::size_t kHashDigits = 16;

std::string manifest_end(std::string_view body) {
  return cat("  \"manifest_hash\": \"", hash_to_hex(tensor_hash(std::as_bytes(std::span(body)))), "\"\n}\n");
}

bool all_finite(const nlohmann::json& value) {
  if (value.is_number_float()) return std::isfinite(value.get<double>());
  for (const auto& element : value) {
    if (element.is_structured() ? !all_finite(element)
                                : element.is_number_float() && !std::isfinite(element.get<double>())) {
      return false;
    }
  }
  return true;
}

std::string dump(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);  // paths need not be UTF-8
}

std::uint64_t hash_from_hex(const std::string& text) {
  std::uint64_t hash = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, hash, 16);
  RN_CHECK(text.size() == kHashDigits && error == std::errc() && stopped == end, "not a hash: ", text);
  return hash;
}

}  // namespace

bool is_checkpoint_file_name(std::string_view name) {
  return !name.empty() && name.size() < 200 && name.front() != '.' && name != kManifestName &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

std::string format_manifest(const Manifest& manifest) {
  RN_CHECK(all_finite(manifest.values), "a checkpoint's values hold a number that is not finite");
  std::string body = cat("{\n  \"format\": \"", kFormat, "\",\n  \"step\": ", manifest.step,
                         ",\n  \"values\": ", dump(manifest.values), ",\n  \"files\": [");
  for (std::size_t i = 0; i < manifest.files.size(); ++i) {
    const ManifestFile& file = manifest.files[i];
    body += cat(i == 0 ? "\n" : ",\n", "    {\"name\": ", dump(file.name), ", \"size\": ", file.size,
                ", \"hash\": \"", hash_to_hex(file.hash), "\"}");
  }
  body += "\n  ],\n";
  return body + manifest_end(body);
}

Manifest parse_manifest(std::string_view text, const std::string& path) {
  const std::size_t end_size = manifest_end("").size();
  if (text.size() < end_size) {
    throw DataError(cat(path, " is cut: it has ", text.size(), " bytes. This checkpoint cannot be used."));
  }
  const std::string_view body = text.substr(0, text.size() - end_size);
  if (text.substr(body.size()) != manifest_end(body)) {
    throw DataError(cat(
        path, " is damaged: it does not end with the hash of its content. This checkpoint cannot be used."));
  }
  // What follows holds in all that we wrote. A manifest made by somebody else may have a right hash and wrong
  // content.
  try {
    const auto bounded = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
      RN_CHECK(depth <= kDeepestManifest, "nested deeper than ", kDeepestManifest, " levels");
      return true;
    };
    const auto json = nlohmann::json::parse(text, bounded);
    if (json.at("format").get<std::string>() != kFormat) {
      throw DataError(cat(path, " has the format \"", json.at("format").get<std::string>(),
                          "\"; this version reads \"", kFormat, "\""));
    }
    Manifest manifest;
    const auto step = whole_number<std::int64_t>(json.at("step"));
    RN_CHECK(step && *step >= 0, "step ", dump(json.at("step")));
    manifest.step = *step;
    manifest.values = json.at("values");
    std::set<std::string> names;
    for (const auto& file : json.at("files")) {
      const auto name = file.at("name").get<std::string>();
      RN_CHECK(is_checkpoint_file_name(name) && names.insert(name).second, "file name ", name);
      const auto size = whole_number<std::uint64_t>(file.at("size"));
      RN_CHECK(size, "size ", dump(file.at("size")), " of ", name);
      manifest.files.push_back({name, *size, hash_from_hex(file.at("hash"))});
    }
    return manifest;
  } catch (const nlohmann::json::exception& error) {
    throw DataError(cat(path, " is not a checkpoint's manifest: ", error.what()));
  } catch (const InternalError& error) {
    throw DataError(cat(path, " is not a checkpoint's manifest: ", error.what()));
  }
}

}  // namespace rn::io::detail
