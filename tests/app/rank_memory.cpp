#include "rank_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace rn::app_testing {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

struct Region {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// Writable memory without a file behind it: heap, arenas, anonymous mappings.
std::vector<Region> own_memory(pid_t process) {
  std::vector<Region> regions;
  std::istringstream lines(content_of("/proc/" + std::to_string(process) + "/maps"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string range, rights, offset, device, inode, name;
    words >> range >> rights >> offset >> device >> inode >> name;
    if (rights != "rw-p" || (!name.empty() && name != "[heap]")) continue;
    const auto dash = range.find('-');
    regions.push_back(
        {std::stoull(range.substr(0, dash), nullptr, 16), std::stoull(range.substr(dash + 1), nullptr, 16)});
  }
  return regions;
}

}  // namespace

pid_t rank_process(pid_t mpirun, int rank) {
  const std::string parent = "\nPPid:\t" + std::to_string(mpirun) + "\n";
  const std::string variable = "OMPI_COMM_WORLD_RANK=" + std::to_string(rank);
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (content_of("/proc/" + name + "/status").find(parent) == std::string::npos) continue;
    std::istringstream environment(content_of("/proc/" + name + "/environ"));
    for (std::string word; std::getline(environment, word, '\0');) {
      if (word == variable) return static_cast<pid_t>(std::stol(name));
    }
  }
  return -1;
}

int flip_bit(pid_t process, std::string_view pattern, std::size_t at, unsigned bit) {
  const int memory = open(("/proc/" + std::to_string(process) + "/mem").c_str(), O_RDWR | O_CLOEXEC);
  if (memory < 0) return -1;
  constexpr std::size_t kPiece = 16 << 20;
  int places = 0;
  std::string piece;
  for (const Region& region : own_memory(process)) {
    // Pieces overlap, since the pattern may lie across the end of one.
    for (std::uint64_t from = region.begin; from < region.end; from += kPiece) {
      piece.resize(std::min<std::uint64_t>(kPiece + pattern.size() - 1, region.end - from));
      const ssize_t got = pread(memory, piece.data(), piece.size(), static_cast<off_t>(from));
      if (got <= 0) break;
      const std::string_view text(piece.data(), static_cast<std::size_t>(got));
      for (auto found = text.find(pattern); found != text.npos; found = text.find(pattern, found + 1)) {
        const char flipped = static_cast<char>(pattern[at] ^ (1 << bit));
        if (pwrite(memory, &flipped, 1, static_cast<off_t>(from + found + at)) == 1) ++places;
      }
    }
  }
  close(memory);
  return places;
}

}  // namespace rn::app_testing
