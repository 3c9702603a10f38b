// Files that are there whole or not at all.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "io/file_system.h"

namespace rn::io {

// Writes `bytes`, or what `write` appends, into a temporary file beside `path`, syncs it, renames it over
// `path` and syncs the folder: whatever happens, a reader finds the old content or the new one. The mode
// follows the umask. Throws Error (exit code 1) and leaves the old file as it is when anything fails before
// the rename.
void write_file_atomically(FileSystem& files, const std::string& path,
                           const std::function<void(WritableFile&)>& write);
void write_file_atomically(FileSystem& files, const std::string& path, std::span<const std::byte> bytes);
void write_file_atomically(FileSystem& files, const std::string& path, std::string_view text);

// Creates the symbolic link `path` -> `target`, or moves an existing one there, just as atomically.
void write_link_atomically(FileSystem& files, const std::string& path, const std::string& target);

// Whether `name` (without folder) is that of a temporary of these functions, left behind by a crash.
bool is_temporary_name(std::string_view name);

// ".NAME.tmp-XXXXXXXX": a fresh name beside `path` for something that will be renamed to it.
std::string temporary_path(const std::string& path);

}  // namespace rn::io
