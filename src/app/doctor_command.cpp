#include "app/doctor_command.h"

#include <sys/statvfs.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "app/flight_command.h"
#include "app/version.h"
#include "core/error.h"
#include "data/cifar_location.h"
#include "dist/cuda_device.h"
#include "dist/device_choice.h"
#include "dist/launch_env.h"
#include "dist/library_versions.h"
#include "dist/process_limits.h"
#include "train/precision.h"

namespace rn::app {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
// What the ranks of a node take of /dev/shm: Open MPI's segment of each (4 MiB) and the progress board;
// gradients travel through memory that does not count there. NCCL's rings between GPUs do.
constexpr double kSharedMemoryPerRank = 5.0;
constexpr double kSharedMemoryPerGpu = 40.0;

class Findings {
 public:
  explicit Findings(std::ostream& out) : out_(out) {}
  void good(const std::string& what) { out_ << "ok      " << what << '\n'; }
  void note(const std::string& what) { out_ << "note    " << what << '\n'; }
  void refuse(const std::string& what, const std::string& cure) {
    out_ << "REFUSED " << what << "\n        cure: " << cure << '\n';
    ++refusals_;
  }
  int refusals() const { return refusals_; }

 private:
  std::ostream& out_;
  int refusals_ = 0;
};

// The rank's place; a rank of one where the launcher is refused.
dist::LaunchEnv check_launcher(Findings& findings) {
  try {
    const auto env = dist::read_launch_env();
    findings.good(env.launched ? cat("rank ", env.rank, " of ", env.world_size)
                               : "no launcher: a run of one rank");
    if (!env.hint.empty()) findings.note(env.hint);
    return env;
  } catch (const EnvironmentError& error) {
    findings.refuse(error.what(), "start with launch/run, mpirun, or srun --mpi=pmix");
    return {};
  }
}

void check_shared_memory(Findings& findings, int ranks, int gpus) {
  struct statvfs info{};
  if (statvfs("/dev/shm", &info) != 0) {
    findings.refuse("/dev/shm is missing", "mount -t tmpfs tmpfs /dev/shm");
    return;
  }
  const double free_mib = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize) / kMiB;
  const double needed = kSharedMemoryPerRank * ranks + kSharedMemoryPerGpu * std::min(gpus, ranks);
  const auto text = cat("/dev/shm has ", static_cast<long>(free_mib), " MiB free, ", ranks,
                        ranks == 1 ? " rank needs " : " ranks need ", static_cast<long>(needed));
  if (free_mib < needed) {
    findings.refuse(text,
                    "remove what lies there, or mount -o remount,size=1g /dev/shm (containers: "
                    "--shm-size=1g)");
  } else if (access("/dev/shm", W_OK) != 0) {
    findings.refuse("/dev/shm is not writable", "chmod 1777 /dev/shm");
  } else {
    findings.good(text);
  }
}

void check_gpus(Findings& findings, const dist::LaunchEnv& env) {
  const int gpus = dist::cuda_device_count();
  const int present = dist::nvidia_devices_present();
  if (const std::string problem = dist::cuda_problem(); !problem.empty()) {
    findings.refuse(problem, dist::kGpuCure);
  } else if (gpus == 0) {
    findings.good("no GPU that this build can use");
    if (present > 0 && !dist::built_with_cuda()) {
      findings.note(
          cat(present, " NVIDIA GPU(s) stay idle: this build has no CUDA (configure with -DRN_CUDA=ON)"));
    }
  } else if (env.local_size > gpus) {
    findings.refuse(cat(env.local_size, " ranks on this node for ", gpus, " GPU(s)"),
                    "one rank per GPU (launch/run -n auto); for two on one GPU dist.share_gpu=true; for the "
                    "CPUs dist.backend=mpi");
  } else {
    findings.good(cat(gpus, " GPU(s)"));
  }
  if (const std::string problem = dist::nccl_problem(); !problem.empty()) {
    findings.refuse(problem, "start without LD_LIBRARY_PATH and LD_PRELOAD: the build finds its own NCCL");
  }
}

void check_limits(Findings& findings) {
  const std::string raised = dist::raise_soft_limits();
  if (!raised.empty()) findings.note(raised);
  if (const std::string problem = dist::limits_problem(); !problem.empty()) {
    findings.refuse(problem, "ulimit -Hn 4096, or LimitNOFILE of the service that starts this one");
  }
}

void check_data(Findings& findings) {
  try {
    findings.good("CIFAR-10 at " + data::require_cifar("").path);
  } catch (const Error& error) {
    findings.note(error.what());
  }
}

constexpr char kUsage[] =
    "usage: rn_dist doctor [--flight RUN_DIR]\n"
    "Tells what this machine can do and what stands in the way of a run; exit code 3 where a run would be "
    "refused.\n"
    "--flight tells what went wrong in a run of several ranks that ended badly.\n";

}  // namespace

int run_doctor_command(std::span<const std::string> args, std::ostream& out) {
  if (!args.empty() && (args.front() == "--help" || args.front() == "-h")) {
    out << kUsage;
    return 0;
  }
  if (args.size() == 2 && args.front() == "--flight") {
    explain_flight(args[1], out);
    return 0;
  }
  if (!args.empty()) throw ConfigError(cat("doctor: unexpected '", args.front(), "'\n", kUsage));
  out << version_text();
  Findings findings(out);
  const dist::LaunchEnv env = check_launcher(findings);
  check_shared_memory(findings, env.local_size, dist::cuda_device_count());
  check_limits(findings);
  check_data(findings);
  findings.good(cat(std::thread::hardware_concurrency(), " hardware threads, precision auto is ",
                    train::name_of(train::resolve_precision(train::PrecisionChoice::kAuto, torch::kCPU)),
                    " on the CPU"));
  check_gpus(findings, env);
  return findings.refusals() == 0 ? 0 : static_cast<int>(ExitCode::kEnvironment);
}

}  // namespace rn::app
