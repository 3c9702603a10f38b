// Which GPU each rank computes on, agreed on by all ranks.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/communicator.h"
#include "dist/launch_env.h"
#include "dist/options.h"

namespace rn::dist {

// What to do about cuda_problem().
inline constexpr char kGpuCure[] =
    "Update the driver, build with an older LibTorch (RN_TORCH_DIR), hide the GPU (CUDA_VISIBLE_DEVICES=), "
    "or "
    "set dist.backend=mpi to train on the CPUs";

// Throws ConfigError when the configuration asks for NCCL and this build has none. Needs no other rank.
void check_backend(const DistOptions& options);

// What a rank tells the others about its GPU; plain bytes, equal machines.
struct DeviceFacts {
  std::array<char, 64> host{};
  std::array<char, 16> uuid{};
  std::int32_t device_count = 0;
};

// Throws EnvironmentError where only some of the ranks (by rank) have a GPU, or more of them than allowed
// have the same: one, two where `share_gpu`. True: some GPU is shared.
bool check_devices(std::span<const DeviceFacts> ranks, bool share_gpu);

// Collective over `host`. The CUDA device of this rank (made the calling thread's), or -1 where all ranks
// compute on the CPU. Throws EnvironmentError, alike on all ranks, where two ranks would share a GPU or only
// some have one. Rank 0 points idle GPUs out.
int choose_device(const DistOptions& options, const LaunchEnv& env, Communicator& host);

}  // namespace rn::dist
