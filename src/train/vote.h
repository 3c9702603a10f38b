// The vote: one small sum over the ranks per step, started at the end of a step and read at the end of the
// next.
//
// It carries what all ranks must decide alike (stop, non-finite numbers) and what rank 0 reports (loss,
// accuracy). Read one step late, it never makes a step wait; all ranks read the same numbers at the same
// step, so all stop at the same step. What cannot wait a step is decided on the device (found_inf is an input
// of the optimizer).
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/communicator.h"

namespace rn::train {

// What one rank brings.
struct Ballot {
  torch::Tensor loss_sum;   // float scalar on the device: over this rank's samples, undefined without samples
  torch::Tensor correct;    // int64 scalar on the device, undefined without samples
  std::int64_t count = 0;   // this rank's samples
  torch::Tensor found_inf;  // float32 [1] on the device: alike on all ranks, so counted once
  torch::Tensor grad_norm;  // float32 scalar on the device: alike on all ranks
  // float64 scalar on the device, alike on all ranks: the sum of the running statistics after the step,
  // finite only if all of them are. Undefined without any.
  torch::Tensor statistics_sum;
  int stop_reason = 0;  // dist::StopReason
};

// What all ranks read.
struct VoteResult {
  std::int64_t step = 0;  // the step it was started in
  double loss_sum = 0;    // over the global batch
  std::int64_t correct = 0;
  std::int64_t count = 0;
  double grad_norm = 0;
  bool found_inf = false;
  bool statistics_finite = true;
  int stop_reason = 0;          // the most urgent one asked for by any rank; 0: none
  std::optional<TimeSpan> ran;  // see Work::wait
};

class Vote {
 public:
  Vote(Communicator& communicator, torch::Device device);

  // Collective. At most one vote may be outstanding when the next is started; returns that earlier one's
  // result.
  std::optional<VoteResult> start(std::int64_t step, const Ballot& ballot);
  // Waits for the outstanding vote, if any: before a checkpoint and at the end of a run.
  std::optional<VoteResult> drain();

 private:
  static constexpr int kSlots = 2;  // one outstanding, one being filled
  struct Slot {
    std::shared_ptr<Buffer> memory;
    torch::Tensor values;  // [kFields] float64 in `memory`
    Work work;
    std::int64_t step = -1;  // -1: free
  };
  VoteResult read(Slot& slot);
  torch::Tensor host_copy(const torch::Tensor& values) const;

  Communicator& communicator_;
  std::optional<c10::Stream> read_stream_;  // of a GPU's own, see host_copy
  std::array<Slot, kSlots> slots_;
  int next_ = 0;
};

}  // namespace rn::train
