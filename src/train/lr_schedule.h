// The learning-rate schedule: a pure function from an optimizer step to its learning rate.
//
// Step s counts from 0 and is the step about to be taken, as in a PyTorch loop that calls scheduler.step()
// after each optimizer.step(). With T total steps, W warm-up steps and the base rate lr:
//   constant   lr
//   cosine     min_lr + (lr - min_lr) * (1 + cos(pi * (s - W) / (T - W))) / 2     (CosineAnnealingLR, T_max =
//   T - W) one_cycle  torch.optim.lr_scheduler.OneCycleLR with max_lr = lr, two phases; momentum is not
//   cycled
// Warm-up (constant, cosine), s < W: lr * (warmup_start + (1 - warmup_start) * s / W)     (LinearLR)
// From the step where SWA starts (S) its own rate replaces the schedule's:
//   constant   from the schedule's rate at S to swa.lr by a cosine over the annealing steps (swa_utils.SWALR)
//   cyclic     (1 - t) * swa.lr + t * swa.min_lr with t = ((s - S) mod c + 1) / c      (Izmailov et al. 2018,
//   eq. 1)
#pragma once

#include <cstdint>

#include "train/options.h"

namespace rn::train {

// Steps of a span given in epochs, to the nearest step.
std::int64_t steps_of(double epochs, std::int64_t steps_per_epoch);

// Immutable, so safe to use from any thread.
class LrSchedule {
 public:
  // Throws ConfigError for an unknown name or a value that has no meaning. REQUIRES: steps_per_epoch > 0,
  // total_steps >= 0.
  LrSchedule(const ScheduleOptions& schedule, const SwaOptions& swa, double lr, std::int64_t steps_per_epoch,
             std::int64_t total_steps);

  // The rate of that step; steps after the last keep the last one's. REQUIRES: step >= 0.
  double at(std::int64_t step) const;

  // The first step at SWA's rate; total_steps where SWA is off or would start later.
  std::int64_t swa_start() const { return swa_start_; }

  // Whether the weights after `step` enter the SWA average: at the end of every interval, or of every cycle,
  // since SWA's start, and at the run's last step if none was taken before.
  bool swa_snapshot_after(std::int64_t step) const;

 private:
  enum class Kind { kConstant, kCosine, kOneCycle };

  double scheduled(std::int64_t step) const;  // without SWA
  double one_cycle(std::int64_t step) const;
  double averaging(std::int64_t step) const;  // after SWA's start

  Kind kind_;
  ScheduleOptions schedule_;
  SwaOptions swa_;
  double lr_;
  std::int64_t total_steps_;
  std::int64_t warmup_steps_;
  std::int64_t swa_start_;
  std::int64_t swa_anneal_steps_;
  std::int64_t swa_cycle_steps_;     // 0: constant rate
  std::int64_t swa_interval_steps_;  // between snapshots
};

}  // namespace rn::train
