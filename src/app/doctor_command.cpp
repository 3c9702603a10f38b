#include "app/doctor_command.h"

#include <sys/statvfs.h>
#include <torch/cuda.h>

#include <cstdlib>
#include <thread>

#include "app/version.h"
#include "core/error.h"
#include "data/cifar_location.h"
#include "dist/launch_env.h"
#include "train/precision.h"

namespace rn::app {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
// Gradient windows of four ranks with ResNet-18, doubled.
constexpr double kSharedMemoryNeeded = 512.0;

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

void check_launcher(Findings& findings) {
  try {
    const auto env = dist::read_launch_env();
    findings.good(env.launched ? cat("rank ", env.rank, " of ", env.world_size)
                               : "no launcher: a run of one rank");
    if (!env.hint.empty()) findings.note(env.hint);
  } catch (const EnvironmentError& error) {
    findings.refuse(error.what(), "start with launch/run, mpirun, or srun --mpi=pmix");
  }
}

void check_shared_memory(Findings& findings) {
  struct statvfs info{};
  if (statvfs("/dev/shm", &info) != 0) {
    findings.refuse("/dev/shm is missing", "mount -t tmpfs tmpfs /dev/shm");
    return;
  }
  const double free_mib = static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize) / kMiB;
  const auto text = cat("/dev/shm has ", static_cast<long>(free_mib), " MiB free");
  if (free_mib < kSharedMemoryNeeded) {
    findings.refuse(
        text, cat("mount -o remount,size=1g /dev/shm (containers: --shm-size=1g); ranks of one node share "
                  "their gradients there"));
  } else {
    findings.good(text);
  }
}

void check_data(Findings& findings) {
  try {
    findings.good("CIFAR-10 at " + data::require_cifar("").path);
  } catch (const Error& error) {
    findings.note(error.what());
  }
}

}  // namespace

int run_doctor_command(std::span<const std::string> args, std::ostream& out) {
  if (!args.empty() && (args.front() == "--help" || args.front() == "-h")) {
    out << "usage: rn_dist doctor\nTells what this machine can do and what stands in the way of a run; exit "
           "code "
           "3 where a run would be refused.\n";
    return 0;
  }
  if (!args.empty()) throw ConfigError(cat("doctor: unexpected '", args.front(), "'\nusage: rn_dist doctor"));
  out << version_text();
  Findings findings(out);
  check_launcher(findings);
  check_shared_memory(findings);
  check_data(findings);
  findings.good(cat(std::thread::hardware_concurrency(), " hardware threads, precision auto is ",
                    train::name_of(train::resolve_precision(train::PrecisionChoice::kAuto, torch::kCPU)),
                    " on the CPU"));
  const auto gpus = torch::cuda::device_count();
  findings.good(gpus > 0 ? cat(gpus, " GPU(s)") : "no GPU that this build can use");
  return findings.refusals() == 0 ? 0 : static_cast<int>(ExitCode::kEnvironment);
}

}  // namespace rn::app
