#include "train/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace rn::train {
namespace {

// From `from` at t = 0 to `to` at t = 1.
double anneal_cos(double from, double to, double t) {
  return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * t));
}

double anneal_linear(double from, double to, double t) { return from + (to - from) * t; }

void require(bool holds, const char* key, double value, const char* allowed) {
  if (!holds) throw ConfigError(cat(key, " is ", value, "; allowed: ", allowed));
}

void check(const ScheduleOptions& options) {
  require(options.warmup_epochs >= 0, "schedule.warmup_epochs", options.warmup_epochs, "at least 0");
  require(options.warmup_start >= 0, "schedule.warmup_start", options.warmup_start, "at least 0");
  require(options.min_lr >= 0, "schedule.min_lr", options.min_lr, "at least 0");
  require(options.pct_start >= 0 && options.pct_start <= 1, "schedule.pct_start", options.pct_start,
          "0 to 1");
  require(options.div_factor > 0, "schedule.div_factor", options.div_factor, "above 0");
  require(options.final_div_factor > 0, "schedule.final_div_factor", options.final_div_factor, "above 0");
  if (options.anneal != "cos" && options.anneal != "linear") {
    throw ConfigError(cat("schedule.anneal is '", options.anneal, "'; allowed: cos, linear"));
  }
}

void check(const SwaOptions& options) {
  require(options.start >= 0, "swa.start", options.start, "at least 0");
  require(options.lr >= 0, "swa.lr", options.lr, "at least 0");
  require(options.min_lr >= 0, "swa.min_lr", options.min_lr, "at least 0");
  require(options.anneal_epochs >= 0, "swa.anneal_epochs", options.anneal_epochs, "at least 0");
  require(options.cycle_epochs >= 0, "swa.cycle_epochs", options.cycle_epochs, "at least 0");
  require(options.interval_epochs > 0, "swa.interval_epochs", options.interval_epochs, "above 0");
}

}  // namespace

std::int64_t steps_of(double epochs, std::int64_t steps_per_epoch) {
  return std::llround(epochs * static_cast<double>(steps_per_epoch));
}

LrSchedule::LrSchedule(const ScheduleOptions& schedule, const SwaOptions& swa, double lr,
                       std::int64_t steps_per_epoch, std::int64_t total_steps)
    : schedule_(schedule), swa_(swa), lr_(lr), total_steps_(total_steps) {
  RN_CHECK(steps_per_epoch > 0 && total_steps >= 0, "steps per epoch ", steps_per_epoch, ", total ",
           total_steps);
  if (schedule.name == "constant") {
    kind_ = Kind::kConstant;
  } else if (schedule.name == "cosine") {
    kind_ = Kind::kCosine;
  } else if (schedule.name == "one_cycle") {
    kind_ = Kind::kOneCycle;
  } else {
    throw ConfigError(cat("schedule.name is '", schedule.name, "'; allowed: constant, cosine, one_cycle"));
  }
  check(schedule);
  if (swa.enabled) check(swa);

  // OneCycleLR warms up by itself.
  warmup_steps_ = kind_ == Kind::kOneCycle ? 0 : steps_of(schedule.warmup_epochs, steps_per_epoch);
  swa_start_ = total_steps;
  if (swa.enabled) {
    const std::int64_t start = swa.start < 1 ? std::llround(swa.start * static_cast<double>(total_steps))
                                             : steps_of(swa.start, steps_per_epoch);
    swa_start_ = std::min(start, total_steps);
  }
  const auto at_least_one = [&](double epochs) {
    return std::max<std::int64_t>(1, steps_of(epochs, steps_per_epoch));
  };
  swa_anneal_steps_ = steps_of(swa.anneal_epochs, steps_per_epoch);
  swa_cycle_steps_ = swa.cycle_epochs > 0 ? at_least_one(swa.cycle_epochs) : 0;
  swa_interval_steps_ = swa_cycle_steps_ > 0 ? swa_cycle_steps_ : at_least_one(swa.interval_epochs);
}

double LrSchedule::at(std::int64_t step) const {
  RN_CHECK(step >= 0, "step ", step);
  step = std::min(step, std::max<std::int64_t>(0, total_steps_ - 1));
  return step < swa_start_ || !swa_.enabled ? scheduled(step) : averaging(step);
}

double LrSchedule::scheduled(std::int64_t step) const {
  if (kind_ == Kind::kOneCycle) return one_cycle(step);
  if (step < warmup_steps_) {
    return lr_ * anneal_linear(schedule_.warmup_start, 1,
                               static_cast<double>(step) / static_cast<double>(warmup_steps_));
  }
  // A warm-up as long as the run leaves no step to anneal over; SWA may still ask for the rate at its start.
  if (kind_ == Kind::kConstant || total_steps_ <= warmup_steps_) return lr_;
  const double t =
      static_cast<double>(step - warmup_steps_) / static_cast<double>(total_steps_ - warmup_steps_);
  return anneal_cos(lr_, schedule_.min_lr, t);
}

double LrSchedule::one_cycle(std::int64_t step) const {
  const double initial = lr_ / schedule_.div_factor;
  const double lowest = initial / schedule_.final_div_factor;
  const auto anneal = schedule_.anneal == "cos" ? anneal_cos : anneal_linear;
  // PyTorch counts both ends of a phase as steps, hence the ones taken off; the top may lie between two
  // steps.
  const double top = schedule_.pct_start * static_cast<double>(total_steps_) - 1;
  const double last = static_cast<double>(total_steps_ - 1);
  const auto s = static_cast<double>(step);
  // A phase without length is its end (PyTorch divides by zero there).
  if (s <= top || top >= last) return top > 0 ? anneal(initial, lr_, s / top) : lr_;
  return anneal(lr_, lowest, (s - top) / (last - top));
}

double LrSchedule::averaging(std::int64_t step) const {
  const std::int64_t since = step - swa_start_;
  if (swa_cycle_steps_ > 0) {
    const double t =
        static_cast<double>(since % swa_cycle_steps_ + 1) / static_cast<double>(swa_cycle_steps_);
    return anneal_linear(swa_.lr, swa_.min_lr, t);
  }
  if (since >= swa_anneal_steps_) return swa_.lr;
  const double t = static_cast<double>(since) / static_cast<double>(swa_anneal_steps_);
  return anneal_cos(scheduled(swa_start_), swa_.lr, t);
}

bool LrSchedule::swa_snapshot_after(std::int64_t step) const {
  if (!swa_.enabled || step < swa_start_ || step >= total_steps_) return false;
  const std::int64_t since = step + 1 - swa_start_;
  const bool first_at_end = step + 1 == total_steps_ && since < swa_interval_steps_;
  return since % swa_interval_steps_ == 0 || first_at_end;
}

}  // namespace rn::train
