#include "dist/library_versions.h"

#include <algorithm>

namespace rn::dist {

std::vector<std::string> loaded_files(std::string_view maps, std::string_view library) {
  std::vector<std::string> files;
  while (!maps.empty()) {
    const std::string_view line = maps.substr(0, maps.find('\n'));
    maps.remove_prefix(std::min(maps.size(), line.size() + 1));
    const auto path = line.find('/');  // "address perms offset dev inode /path"
    if (path == std::string_view::npos) continue;
    const std::string_view file = line.substr(path);
    if (!file.substr(file.rfind('/') + 1).starts_with(library)) continue;
    if (std::find(files.begin(), files.end(), file) == files.end()) files.emplace_back(file);
  }
  return files;
}

}  // namespace rn::dist
