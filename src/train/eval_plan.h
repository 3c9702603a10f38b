// The evaluation plan: fixed batches in the dataset's order, dealt to the ranks in turn.
//
// Batch k holds samples [k * batch, (k + 1) * batch) and belongs to rank k % ranks; the last one is padded to
// the fixed shape. What a batch is made of does not depend on the rank count, so its results do not either:
// the counts of an evaluation are the same bits on any number of ranks. No sample is evaluated twice.
#pragma once

#include <cstdint>

#include "data/loader.h"

namespace rn::train {

// Immutable, so safe to use from any thread.
class EvalPlan {
 public:
  // REQUIRES: samples >= 0, batch > 0, ranks > 0.
  EvalPlan(std::int64_t samples, std::int64_t batch, int ranks);

  std::int64_t samples() const { return samples_; }
  std::int64_t batches() const;             // over all ranks
  std::int64_t batches_of(int rank) const;  // 0 for a rank beyond the batches
  int owner(std::int64_t k) const;          // the rank of batch k

  // The i-th batch of `rank`, i in [0, batches_of(rank)): without draws, padded_to = batch.
  data::ShardRequest request(int rank, std::int64_t i) const;

 private:
  std::int64_t samples_;
  std::int64_t batch_;
  int ranks_;
};

}  // namespace rn::train
