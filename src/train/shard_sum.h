// The sum over a step's shards in one fixed binary tree, whoever holds them: `run.deterministic: strict`.
//
// Floating-point sums depend on the order of their additions. Here the V shards of a step (V a power of two)
// are the leaves of a binary tree, and every node is the sum of its two halves. A rank holds V / ranks shards
// in a row, which is a subtree: it adds them as they come, keeping one partial sum per level, as a binary
// counter does. The ranks' sums are then gathered, and every rank adds them along the upper part of the same
// tree. So the bits are the same at any rank count that divides V. Against an all-reduce every rank receives
// (ranks - 1) times the values.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "core/communicator.h"

namespace rn::train {

class ShardSum {
 public:
  // `values` [n], dense, on the communicator's side (host or device): holds one shard's values after the
  // other and, at the end, the sum. Borrows the communicator. REQUIRES: shards_of_rank and the world size are
  // powers of two.
  ShardSum(Communicator& communicator, int shards_of_rank, torch::Tensor values);

  // The values of this rank's next shard are complete. They are overwritten, so the caller sets them anew
  // before it works on the next shard. Called shards_of_rank times in each step.
  void add();

  // Collective, after the last add() of a step. values := the sum over all shards. On a device the host goes
  // on: work queued on `stream` later sees it.
  void finish(void* stream = nullptr);

 private:
  Communicator& communicator_;
  const int shards_of_rank_;
  torch::Tensor values_;
  std::vector<torch::Tensor> partial_;  // by level: the sum of a left half that waits for its right one
  int added_ = 0;                       // shards of this step
  torch::Tensor gathered_;              // [ranks, a piece of values]
};

}  // namespace rn::train
