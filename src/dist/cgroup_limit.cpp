#include "dist/cgroup_limit.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

namespace rn::dist {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

double as_cores(double quota, double period) { return quota > 0 && period > 0 ? quota / period : kNoLimit; }

// Version 2: one file, "max 100000" or "150000 100000".
double unified_limit(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max") return kNoLimit;
  std::istringstream number(quota);
  double value = 0;
  return number >> value ? as_cores(value, period) : kNoLimit;
}

// Version 1: two files; a quota of -1 means none.
double legacy_limit(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
  std::ifstream period_file(folder + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  return quota_file >> quota && period_file >> period ? as_cores(quota, period) : kNoLimit;
}

// The smallest limit from `path` up to the root. In a container the path may name a folder of the host that
// is not mounted here; the walk then still reaches the container's own root.
template <typename Limit>
double smallest_limit(const std::string& root, std::string path, Limit limit) {
  double smallest = kNoLimit;
  while (true) {
    smallest = std::min(smallest, limit(root + path));
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return smallest;
    path.resize(slash);
  }
}

}  // namespace

double cgroup_cpu_limit(const std::string& proc_cgroup, const std::string& mount) {
  double limit = kNoLimit;
  std::ifstream file(proc_cgroup);
  for (std::string line; std::getline(file, line);) {  // "0::/path" or "4:cpu,cpuacct:/path"
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") {
      limit = std::min(limit, smallest_limit(mount, path, unified_limit));
    } else if (controllers.find(",cpu,") != std::string::npos) {
      limit = std::min(limit, smallest_limit(mount + "/cpu", path, legacy_limit));
    }
  }
  return limit;
}

}  // namespace rn::dist
