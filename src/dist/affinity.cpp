#include "dist/affinity.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <string>
#include <tuple>

#include "core/error.h"
#include "dist/cgroup_limit.h"

namespace rn::dist {
namespace {

// A mask of up to kMaxCpus CPUs; cpu_set_t holds 1024 only.
class CpuMask {
 public:
  static constexpr int kMaxCpus = 8192;
  CpuMask() : set_(CPU_ALLOC(kMaxCpus), [](cpu_set_t* set) { CPU_FREE(set); }) {
    CPU_ZERO_S(bytes(), set_.get());
  }
  void add(int cpu) { CPU_SET_S(static_cast<std::size_t>(cpu), bytes(), set_.get()); }
  bool read_from(pid_t pid) { return sched_getaffinity(pid, bytes(), set_.get()) == 0; }
  bool apply() const { return sched_setaffinity(0, bytes(), set_.get()) == 0; }
  std::vector<int> ids() const {
    std::vector<int> result;
    for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
      if (CPU_ISSET_S(static_cast<std::size_t>(cpu), bytes(), set_.get())) result.push_back(cpu);
    }
    return result;
  }

 private:
  static std::size_t bytes() { return CPU_ALLOC_SIZE(kMaxCpus); }
  std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set_;
};

CpuMask mask_of(const std::vector<int>& ids) {
  CpuMask mask;
  for (const int id : ids) mask.add(id);
  return mask;
}

struct Process {
  std::string name;
  pid_t parent = 0;
};

Process describe_process(pid_t pid) {
  Process process;
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Name:\t", 0) == 0) process.name = line.substr(6);
    if (line.rfind("PPid:\t", 0) == 0) process.parent = std::stoi(line.substr(6));
  }
  return process;
}

// mpirun or its daemon, the process that bound us; shells and wrappers between carry our own narrow mask.
pid_t launcher_process() {
  pid_t pid = getppid();
  for (int level = 0; level < 8 && pid > 1; ++level) {
    const Process process = describe_process(pid);
    for (const char* prefix : {"mpirun", "mpiexec", "orte", "prte"}) {
      if (process.name.rfind(prefix, 0) == 0) return pid;
    }
    pid = process.parent;
  }
  return getppid();
}

// The CPUs the job may use here: the launcher's (which keep a `taskset` of the user) as far as the cpuset
// allows them to this process. Widening the mask and reading it back asks the kernel for that.
std::vector<int> job_cpus(const std::vector<int>& mine) {
  CpuMask launchers;
  if (!launchers.read_from(launcher_process()) || !launchers.apply()) return mine;
  CpuMask granted;
  return granted.read_from(0) ? granted.ids() : mine;
}

int topology(int cpu, const char* what, int otherwise) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/" + what);
  int value = 0;
  return file >> value && value >= 0 ? value : otherwise;
}

std::vector<Cpu> describe(const std::vector<int>& ids) {
  std::vector<Cpu> cpus;
  for (const int id : ids) {
    cpus.push_back({id, topology(id, "physical_package_id", 0), topology(id, "core_id", id)});
  }
  return cpus;
}

}  // namespace

CoreShare split_cores(std::vector<Cpu> usable, double cpu_limit, int local_rank, int local_size) {
  RN_CHECK(!usable.empty() && local_rank >= 0 && local_rank < local_size && cpu_limit > 0);
  std::sort(usable.begin(), usable.end(), [](const Cpu& a, const Cpu& b) {
    return std::tie(a.package, a.core, a.id) < std::tie(b.package, b.core, b.id);
  });
  const auto size = static_cast<std::size_t>(local_size);
  const auto rank = static_cast<std::size_t>(local_rank);
  const double usable_time = std::min(cpu_limit, static_cast<double>(usable.size()));
  CoreShare share;
  share.threads = std::max(1, static_cast<int>(usable_time / local_size));

  const std::size_t base = usable.size() / size;
  const std::size_t extra = usable.size() % size;
  // A quota below the core count is CPU time anywhere, so pinning to few cores would only cost.
  share.pinned = local_size > 1 && base > 0 && cpu_limit >= static_cast<double>(usable.size());
  const std::size_t begin = share.pinned ? rank * base + std::min(rank, extra) : 0;
  const std::size_t count = share.pinned ? base + (rank < extra ? 1 : 0) : usable.size();
  for (std::size_t i = begin; i < begin + count; ++i) share.cpus.push_back(usable[i].id);
  return share;
}

CoreShare claim_cores(const LaunchEnv& env) {
  CpuMask own;
  std::vector<int> mine = own.read_from(0) ? own.ids() : std::vector<int>();
  if (mine.empty()) return CoreShare{};
  const double limit = cgroup_cpu_limit();
  if (!env.launched || env.cores_bound) {
    CoreShare share = split_cores(describe(mine), limit, 0, 1);
    share.pinned = env.cores_bound;
    return share;
  }
  const auto usable = env.launcher == Launcher::kOpenMpi ? job_cpus(mine) : mine;
  CoreShare share = split_cores(describe(usable), limit, env.local_rank, env.local_size);
  if (!mask_of(share.cpus).apply()) share.pinned = false;
  return share;
}

}  // namespace rn::dist
