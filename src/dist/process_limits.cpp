#include "dist/process_limits.h"

#include <sys/resource.h>

#include <algorithm>

#include "core/error.h"

namespace rn::dist {
namespace {

constexpr rlim_t kWantedFiles = 4096;     // sockets between many ranks, GPUs' handles, readers of folder data
constexpr rlim_t kNeededFiles = 128;      // below it not even a small run starts
constexpr rlim_t kSensibleFiles = 65536;  // some programs close all files up to the limit

rlimit open_files() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = limit.rlim_max = kWantedFiles;
  return limit;
}

}  // namespace

std::string raise_soft_limits() {
  rlimit limit = open_files();
  const rlim_t before = limit.rlim_cur;
  const rlim_t wanted = std::min(limit.rlim_max, kSensibleFiles);
  if (before >= kWantedFiles || wanted <= before) return {};
  limit.rlim_cur = wanted;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  return cat("open files: limit raised from ", before, " to ", wanted);
}

std::string limits_problem() {
  const rlimit limit = open_files();
  if (limit.rlim_max >= kNeededFiles) return {};
  return cat("a process may open ", limit.rlim_max, " files at most, and a run needs ", kNeededFiles,
             ": raise `ulimit -Hn`");
}

}  // namespace rn::dist
