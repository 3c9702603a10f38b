#include "train/step_plan.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "data/epoch_order.h"

namespace rn::train {
namespace {

std::int64_t count_steps_per_epoch(const PlanShape& shape) {
  if (shape.samples <= 0) throw ConfigError("the training split holds no images");
  if (shape.global_batch <= 0)
    throw ConfigError(cat("train.global_batch is ", shape.global_batch, ", not at least 1"));
  RN_CHECK(shape.ranks > 0 && shape.accumulate > 0, "ranks ", shape.ranks, ", accumulate ", shape.accumulate);
  const std::int64_t whole = shape.samples / shape.global_batch;
  if (shape.drop_last && whole == 0) {
    throw ConfigError(cat("train.drop_last leaves no step: ", shape.samples,
                          " training images are fewer than one ", "global batch of ", shape.global_batch,
                          "; make train.global_batch smaller"));
  }
  const bool has_smaller_last = shape.samples % shape.global_batch != 0 && !shape.drop_last;
  return whole + (has_smaller_last ? 1 : 0);
}

}  // namespace

ShardRange shard_range(std::int64_t count, std::int64_t v, std::int64_t shards) {
  RN_CHECK(count >= 0 && v >= 0 && v < shards, "count ", count, ", shard ", v, " of ", shards);
  return {v * count / shards, (v + 1) * count / shards};
}

StepPlan::StepPlan(const PlanShape& shape, std::uint64_t seed, const data::AugmentOptions& augment,
                   int height, int width)
    : shape_(shape),
      seed_(seed),
      augment_(augment),
      height_(height),
      width_(width),
      steps_per_epoch_(count_steps_per_epoch(shape)) {}

std::int64_t StepPlan::total_steps(double epochs, std::int64_t max_steps) const {
  RN_CHECK(std::isfinite(epochs) && epochs >= 0 && max_steps >= 0, "epochs ", epochs, ", max_steps ",
           max_steps);
  std::int64_t steps = std::llround(epochs * static_cast<double>(steps_per_epoch_));
  if (epochs > 0) steps = std::max<std::int64_t>(steps, 1);
  return max_steps > 0 ? std::min(steps, max_steps) : steps;
}

Step StepPlan::at(std::int64_t step) const {
  RN_CHECK(step >= 0, "step ", step);
  Step result;
  result.step = step;
  result.epoch = step / steps_per_epoch_;
  result.index = step % steps_per_epoch_;
  result.first = result.index * shape_.global_batch;
  result.count = std::min(shape_.global_batch, shape_.samples - result.first);
  result.ends_epoch = result.index + 1 == steps_per_epoch_;
  return result;
}

double StepPlan::epochs_done(std::int64_t steps) const {
  return static_cast<double>(steps) / static_cast<double>(steps_per_epoch_);
}

std::int64_t StepPlan::shard_index(int rank, int micro_step) const {
  RN_CHECK(rank >= 0 && rank < shape_.ranks && micro_step >= 0 && micro_step < shape_.accumulate, "rank ",
           rank, " of ", shape_.ranks, ", micro-step ", micro_step, " of ", shape_.accumulate);
  return shape_.by_rank ? std::int64_t{rank} * shape_.accumulate + micro_step
                        : std::int64_t{micro_step} * shape_.ranks + rank;
}

ShardRange StepPlan::shard(const Step& step, int rank, int micro_step) const {
  return shard_range(step.count, shard_index(rank, micro_step),
                     std::int64_t{shape_.ranks} * shape_.accumulate);
}

data::ShardRequest StepPlan::request(std::int64_t step, int rank, int micro_step) {
  const Step place = at(step);
  const ShardRange range = shard(place, rank, micro_step);
  const auto first = order(place.epoch).begin() + place.first;

  data::ShardRequest request;
  request.indices.assign(first + range.begin, first + range.end);
  request.draws.reserve(request.indices.size());
  for (const std::int64_t sample : request.indices) {
    request.draws.push_back(data::draw_augment(augment_, height_, width_, seed_, place.epoch, sample));
  }
  return request;
}

data::PrefetchLoader::Plan StepPlan::requests(int rank, std::int64_t first, std::int64_t last) {
  return [this, rank, step = first, last, micro_step = 0]() mutable -> std::optional<data::ShardRequest> {
    if (step >= last) return std::nullopt;
    auto next = request(step, rank, micro_step);
    if (++micro_step == shape_.accumulate) {
      micro_step = 0;
      ++step;
    }
    return next;
  };
}

const std::vector<std::int64_t>& StepPlan::order(std::int64_t epoch) {
  CachedOrder& slot = cache_[static_cast<std::size_t>(epoch % 2)];
  if (slot.epoch != epoch) {
    slot.order = data::epoch_order(shape_.samples, seed_, epoch);
    slot.epoch = epoch;
  }
  return slot.order;
}

}  // namespace rn::train
