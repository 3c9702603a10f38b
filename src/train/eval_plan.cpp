#include "train/eval_plan.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace rn::train {

EvalPlan::EvalPlan(std::int64_t samples, std::int64_t batch, int ranks)
    : samples_(samples), batch_(batch), ranks_(ranks) {
  RN_CHECK(samples >= 0 && batch > 0 && ranks > 0, "samples ", samples, ", batch ", batch, ", ranks ", ranks);
}

std::int64_t EvalPlan::batches() const { return (samples_ + batch_ - 1) / batch_; }

std::int64_t EvalPlan::batches_of(int rank) const {
  RN_CHECK(rank >= 0 && rank < ranks_, "rank ", rank, " of ", ranks_);
  return (batches() + ranks_ - 1 - rank) / ranks_;
}

int EvalPlan::owner(std::int64_t k) const { return static_cast<int>(k % ranks_); }

data::ShardRequest EvalPlan::request(int rank, std::int64_t i) const {
  RN_CHECK(i >= 0 && i < batches_of(rank), "batch ", i, " of rank ", rank);
  const std::int64_t first = (i * ranks_ + rank) * batch_;
  data::ShardRequest request;
  request.indices.resize(static_cast<std::size_t>(std::min(batch_, samples_ - first)));
  std::iota(request.indices.begin(), request.indices.end(), first);
  request.padded_to = batch_;
  return request;
}

}  // namespace rn::train
