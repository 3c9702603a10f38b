// Collectives on device memory by NCCL, without c10d. Builds without CUDA have stubs (no_nccl.cpp).
#pragma once

#include <memory>
#include <string>

#include "core/communicator.h"

namespace rn::dist {

class ProgressBoard;

// A communicator whose spans are device memory. Collectives run on a stream of its own: one starts after what
// was queued on the compute stream before the call; who reads its result orders itself by Work::order_after
// (device) or Work::wait (host). After order_after, destroying the Work does not wait. Any thread may call
// it, one at a time: backward on a GPU runs on a thread of autograd while its caller waits.
class DeviceCommunicator : public Communicator {
 public:
  // The cudaStream_t on which the producers of all later collectives run; the legacy default stream until it
  // is set.
  virtual void set_compute_stream(void* stream) = 0;
};

// Collective over `host` (borrowed, as is `board`): rank r drives CUDA device `device`. Throws
// EnvironmentError when the NCCL that was loaded is not the one of the build, cannot start or gets a first
// sum of known result wrong, and Error with exit 7 when the other ranks do not appear before the deadline.
// `board` (may be null): this rank's row and flight ring get each collective when it is queued, and the
// device itself counts there what it has finished. all_reduce with a wire type below the dtype throws
// ConfigError: NCCL sums in the type that it transports.
std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator& host, int device,
                                                           double deadline_seconds,
                                                           ProgressBoard* board = nullptr);

// "2.30.7", or empty where the build has no NCCL.
std::string nccl_version();

}  // namespace rn::dist
