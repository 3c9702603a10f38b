#include "dist/device_choice.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/host_name.h"
#include "core/log.h"
#include "dist/agreement.h"
#include "dist/cuda_device.h"

namespace rn::dist {
namespace {

constexpr int kMostRanksPerGpu = 2;

DeviceFacts facts_of(int count, int index) {
  DeviceFacts facts;
  facts.device_count = count;
  const std::string host = host_name();
  std::copy_n(host.begin(), std::min(host.size(), facts.host.size() - 1), facts.host.begin());
  if (index >= 0) {
    const std::string uuid = cuda_device_uuid(index);
    std::copy_n(uuid.begin(), std::min(uuid.size(), facts.uuid.size()), facts.uuid.begin());
  }
  return facts;
}

void point_out_idle(const LaunchEnv& env, const DistOptions& options, int count, int index) {
  if (env.rank != 0) return;
  if (index >= 0) {
    if (env.local_size < count) {
      log_warning(count - env.local_size, " of ", count,
                  " GPUs of this node are idle: `launch/run -n auto` starts a rank on each");
    }
    return;
  }
  const int present = nvidia_devices_present();
  if (present == 0) return;
  const char* reason = !built_with_cuda() ? "this build has no CUDA support (configure with -DRN_CUDA=ON)"
                       : options.backend == Backend::kMpi ? "dist.backend=mpi trains on the CPUs"
                                                          : "CUDA cannot use them (see nvidia-smi)";
  log_warning(present, " NVIDIA GPU", present == 1 ? "" : "s", " of this node will be idle: ", reason);
}

}  // namespace

bool check_devices(std::span<const DeviceFacts> ranks, bool share_gpu) {
  bool shared = false;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if ((ranks[i].device_count > 0) != (ranks[0].device_count > 0)) {
      const std::size_t without = ranks[i].device_count > 0 ? 0 : i;
      throw EnvironmentError(cat("rank ", without, " on host ", ranks[without].host.data(),
                                 " sees no GPU, but other ranks do. Run where every rank has one, or set "
                                 "dist.backend=mpi to train on the CPUs."));
    }
    if (ranks[i].device_count == 0) continue;
    std::vector<std::size_t> same;
    for (std::size_t j = 0; j <= i; ++j) {
      if (ranks[i].uuid == ranks[j].uuid) same.push_back(j);
    }
    if (same.size() > 1) shared = true;
    if (same.size() <= (share_gpu ? kMostRanksPerGpu : 1)) continue;
    throw EnvironmentError(cat(
        rank_list(same), " on host ", ranks[i].host.data(), " would share a GPU (", ranks[i].device_count,
        " visible). Start at most ", share_gpu ? "two ranks" : "one rank",
        " per GPU (launch/run -n auto starts one), ", share_gpu ? "" : "set dist.share_gpu=true for two, ",
        "or set dist.backend=mpi to train on the CPUs."));
  }
  return shared;
}

void check_backend(const DistOptions& options) {
  if (options.backend == Backend::kNccl && !built_with_cuda()) {
    throw ConfigError(
        "dist.backend: nccl needs a build with CUDA (configure with -DRN_CUDA=ON); this one offers mpi, and "
        "auto, which chooses");
  }
}

int choose_device(const DistOptions& options, const LaunchEnv& env, Communicator& host) {
  if (options.backend != Backend::kMpi) {
    if (const std::string problem = cuda_problem(); !problem.empty()) {
      throw EnvironmentError(cat(problem, ". ", kGpuCure));
    }
  }
  const int count = options.backend == Backend::kMpi ? 0 : cuda_device_count();
  const int index = count > 0 ? env.local_rank % count : -1;
  const DeviceFacts mine = facts_of(count, index);
  std::vector<DeviceFacts> ranks(static_cast<std::size_t>(env.world_size));
  host.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(ranks))).wait();
  // NCCL refuses two ranks on one GPU unless told.
  if (check_devices(ranks, options.share_gpu)) setenv("NCCL_MULTI_RANK_GPU_ENABLE", "1", /*overwrite=*/0);
  if (index < 0 && options.backend == Backend::kNccl) {
    throw EnvironmentError(
        cat("dist.backend is nccl, but host ", host_name(), " shows no usable GPU (see nvidia-smi)"));
  }
  if (index >= 0 && options.all_reduce_dtype == WireType::kBF16) {
    throw ConfigError(
        "dist.all_reduce_dtype: bf16 needs sums in float32, which NCCL does not take between GPUs. Leave it "
        "at "
        "full, or set dist.backend=mpi to train on the CPUs");
  }
  point_out_idle(env, options, count, index);
  if (index >= 0) use_cuda_device(index);
  return index;
}

}  // namespace rn::dist
