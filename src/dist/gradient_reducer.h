// Sums the flat gradient over the ranks, bucket by bucket, while backward still runs.
//
// Callers say which parameter's gradient is complete (`ready`); a bucket's all-reduce starts when all its
// entries are ready and all earlier buckets have been started, so every rank starts the same buckets in the
// same order, whatever order its hooks fire in. `finalize` starts the rest (frozen or unused parameters count
// as zero, and a rank without samples calls nothing but finalize) and returns when the sums are in place.
// Whoever fills the gradient fills all of it, with zeros where there is none: the reducer sums what lies
// there. Not thread-safe: one caller at a time. LibTorch runs CPU backward on the calling thread and GPU
// backward on one thread of its own per device, while the caller of backward() waits: `ready` comes from
// there, and finalize, which follows backward(), sees all it has done.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/communicator.h"
#include "core/flat_layout.h"

namespace rn::dist {

class GradientReducer {
 public:
  // Borrows all; `gradient` is the whole flat gradient, best allocated by the communicator.
  // REQUIRES: gradient.size() == layout.size() * size_of(dtype).
  GradientReducer(Communicator& communicator, const FlatLayout& layout, std::span<std::byte> gradient,
                  DType dtype, DType wire);

  // The gradient of layout.entries()[entry] is complete for this step. Accumulation: call it in the last
  // shard only. Throws InternalError if it is called twice in a step.
  void ready(std::size_t entry);

  // Starts what is left, waits for all buckets, and prepares the next step. On a device the host goes on:
  // work queued on `stream` later sees the sums.
  void finalize(void* stream = nullptr);

  // What happened in this step, until the next one begins: entry ready, bucket started, finalize called, in
  // order.
  struct Event {
    enum class Kind { kReady, kStarted, kFinalize } kind;
    std::size_t index;  // entry or bucket; 0 for kFinalize
  };
  const std::vector<Event>& trace() const { return trace_; }

  // The buckets of the last finished step, in order: when each was started, and when it ran.
  struct BucketTimes {
    std::chrono::steady_clock::time_point started;
    std::optional<TimeSpan> ran;  // see Work::wait
  };
  const std::vector<BucketTimes>& bucket_times() const { return bucket_times_; }

  double wait_seconds() const { return wait_seconds_; }  // host time spent waiting in the last finalize

 private:
  void begin_step();  // unless one has begun
  void start_next_bucket();

  Communicator& communicator_;
  const FlatLayout& layout_;
  const std::span<std::byte> gradient_;
  const DType dtype_;
  const DType wire_;
  std::vector<std::size_t> entries_in_bucket_;  // constant after construction
  std::vector<std::size_t> pending_;            // entries not ready, per bucket
  std::vector<bool> entry_ready_;
  bool in_step_ = false;
  std::size_t next_bucket_ = 0;  // all before it are started
  std::vector<Work> works_;
  std::vector<Event> trace_;
  std::vector<BucketTimes> bucket_times_;
  double wait_seconds_ = 0;
};

}  // namespace rn::dist
