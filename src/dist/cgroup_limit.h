// The CPU-time quota that containers and batch systems set by control groups (docker --cpus, Kubernetes
// limits).
#pragma once

#include <string>

namespace rn::dist {

// The quota in cores, the smallest along this process's control groups (versions 1 and 2); infinity where
// none is set. `proc_cgroup` and `mount` are the files of the kernel, exchangeable for tests.
double cgroup_cpu_limit(const std::string& proc_cgroup = "/proc/self/cgroup",
                        const std::string& mount = "/sys/fs/cgroup");

}  // namespace rn::dist
