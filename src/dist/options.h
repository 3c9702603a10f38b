// `dist:` of the configuration.
#pragma once

#include <string>

namespace rn::dist {

enum class Backend { kAuto, kNccl, kMpi };
enum class WireType { kFull, kBF16 };

struct DistOptions {
  Backend backend = Backend::kAuto;
  double bucket_mib = 8.0;  // gradient bucket, MiB of float32
  WireType all_reduce_dtype =
      WireType::kFull;     // bf16: gradients are rounded for the transport, summed in float32
  bool share_gpu = false;  // two ranks may compute on one GPU
  double init_deadline_seconds = 300;
  double data_deadline_seconds = 120;
  double step_deadline_seconds = 300;
  double eval_deadline_seconds = 900;
  double checkpoint_deadline_seconds = 600;
};

}  // namespace rn::dist
