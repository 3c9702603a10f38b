// `model:` of the configuration.
#pragma once

#include <string>

namespace rn::model {

enum class Norm { kBatch, kSyncBatch, kGroup };
enum class KernelChoice { kAuto, kTorch };

struct ModelOptions {
  std::string name = "resnet18";  // resnet18 | resnet9 | pfl_cnn | lenet
  std::string stem =
      "cifar";  // cifar: 3x3 stride 1, no pooling | imagenet: 7x7 stride 2 and max-pool (resnet18)
  Norm norm = Norm::kBatch;
  int group_norm_groups = 32;        // norm: group
  int width = 64;                    // channels of the first stage; the others follow
  bool zero_init_residual = false;   // last norm weight of each block starts at 0 (Goyal et al. 2017)
  std::string stem_init = "random";  // random | whitening: see stem_whitening.h
  std::string init_from;             // safetensors file to start from; empty: fresh weights
  // train.kernels: our fused kernels where the CPU has what they need, or LibTorch's operators alone.
  KernelChoice kernels = KernelChoice::kAuto;
};

}  // namespace rn::model
