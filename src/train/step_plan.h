// The step plan: a pure function from an optimizer step to what every shard of it trains on.
//
// An epoch's order is drawn by (seed, epoch); step i of the epoch takes the next `global_batch` samples of
// that order, so the global batches are the same at any rank count. A step's n samples are cut into V = ranks
// * accumulate shards. Shard v holds samples [floor(v * n / V), floor((v + 1) * n / V)) of the step, and
// micro-step a of rank r is shard v = a * ranks + r: all ranks' micro-step a together covers samples [floor(a
// * n / accumulate), ...) at any rank count, and synchronised batch norm takes its statistics over just
// these. With `by_rank` a rank's shards lie in a row instead: shard v = r * accumulate + a, a subtree of the
// sum in shard_sum.h. Shard sizes differ by one at most; with fewer samples than shards some shards are
// empty, and their ranks still take part.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/loader.h"
#include "data/options.h"

namespace rn::train {

struct PlanShape {
  std::int64_t samples = 0;       // training images of an epoch
  std::int64_t global_batch = 0;  // images of one optimizer step, over all ranks and micro-steps
  int ranks = 1;
  int accumulate = 1;      // micro-steps of a rank per optimizer step
  bool drop_last = false;  // leave out the smaller last batch of an epoch
  bool by_rank = false;    // a rank's shards lie in a row
};

// Samples [begin, end) of a step, counted from the step's first.
struct ShardRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const ShardRange&) const = default;
};

// One optimizer step's place in the run.
struct Step {
  std::int64_t step = 0;  // from the run's start
  std::int64_t epoch = 0;
  std::int64_t index = 0;  // in its epoch
  std::int64_t first = 0;  // its first sample's position in the epoch's order
  std::int64_t count = 0;  // samples of the step over all shards: the loss is a sum divided by this
  bool ends_epoch = false;
};

// Shard `v` of `shards` over `count` samples, as defined above. REQUIRES: 0 <= v < shards, count >= 0.
ShardRange shard_range(std::int64_t count, std::int64_t v, std::int64_t shards);

// at() and the other const functions are safe from any thread. request() keeps the permutations of two epochs
// (the loader runs ahead over an epoch's end): its callers take turns, as the loader's workers do.
class StepPlan {
 public:
  // Draws are made for images of height x width pixels. Throws ConfigError where no step can be made: no
  // samples, no batch, or drop_last with fewer samples than one batch.
  StepPlan(const PlanShape& shape, std::uint64_t seed, const data::AugmentOptions& augment, int height,
           int width);

  const PlanShape& shape() const { return shape_; }
  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }

  // Steps of a run that ends at the smaller of `epochs` (fractions are rounded to the nearest step, at least
  // one for epochs > 0) and `max_steps` (0: no limit).
  std::int64_t total_steps(double epochs, std::int64_t max_steps) const;

  // The step's place. REQUIRES: step >= 0.
  Step at(std::int64_t step) const;

  // Epochs done after `steps` steps, as a fraction (for logs and schedules).
  double epochs_done(std::int64_t steps) const;

  // Which of the step's shards it is. REQUIRES: 0 <= rank < ranks, 0 <= micro_step < accumulate.
  std::int64_t shard_index(int rank, int micro_step) const;

  // The samples of one shard, relative to the step. REQUIRES: 0 <= rank < ranks, 0 <= micro_step <
  // accumulate.
  ShardRange shard(const Step& step, int rank, int micro_step) const;

  // What the loader is to deliver for that shard: sample indices and augmentation draws keyed by (seed,
  // epoch, sample). Empty for an empty shard.
  data::ShardRequest request(std::int64_t step, int rank, int micro_step);

  // The requests of one rank for the steps [first, last) in order, micro-step by micro-step: what a loader is
  // to run through. Borrows this plan.
  data::PrefetchLoader::Plan requests(int rank, std::int64_t first, std::int64_t last);

 private:
  const std::vector<std::int64_t>& order(std::int64_t epoch);

  struct CachedOrder {
    std::int64_t epoch = -1;
    std::vector<std::int64_t> order;  // a permutation of [0, samples)
  };

  // Constant after construction.
  PlanShape shape_;
  std::uint64_t seed_;
  data::AugmentOptions augment_;
  int height_;
  int width_;
  std::int64_t steps_per_epoch_;

  std::array<CachedOrder, 2> cache_;  // slot: epoch modulo 2
};

}  // namespace rn::train
