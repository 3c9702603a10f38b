// What a person watching the run sees: one live line on a terminal, plain lines elsewhere, and result lines.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

#include "report/meters.h"
#include "report/records.h"

namespace rn::report {

// "epoch 2.43/12  step 950/4692  loss 1.2345  top-1 56.31 %  lr 0.0812  3120 images/s  data 0.2 ms  comm 1.3
// ms ETA 12:34". Where `width` > 0 the least important parts are left out until the line is shorter than
// that. `eta_seconds` < 0: unknown.
std::string format_progress(const StepRecord& record, const RunPlan& plan, double eta_seconds, int width);

// "epoch 3  train loss 0.6120  top-1 78.90 %  lr 0.05  3:25"
std::string format_epoch(const EpochRecord& record);

// "epoch 3  test top-1 86.12 %  top-5 99.31 %  loss 0.4321  10000 images in 8.2 s (raw)"; "round 3  ..." of
// federated runs.
std::string format_eval(const EvalRecord& record, bool by_rounds = false);

// "round 12/1500  50 clients  loss 1.2345  test top-1 56.31 %  1.2 s  2080 images/s  ETA 12:34"
std::string format_round(const RoundRecord& record, const RunPlan& plan, double eta_seconds, int width);

// "round 12  clients' own images: mean 56.31 %  worst tenth 20.00 %  (1 epochs of tuning)"
std::string format_personal(const PersonalRecord& record);

// "0:09", "12:34", "3:02:01"
std::string format_duration(double seconds);

enum class ProgressStyle { kLive, kPlain, kNone };

// "auto", "plain" or "none" of the configuration; throws ConfigError for another word.
ProgressStyle progress_style(const std::string& name, bool terminal_is_live);

// Not thread-safe.
class Progress {
 public:
  // Borrows `out`. `clock`: seconds of a steady clock. `width`: columns of the terminal, 0: unknown.
  Progress(ProgressStyle style, int width, std::ostream& out, std::function<double()> clock);
  ~Progress();  // ends a live line

  void start(const RunPlan& plan, std::int64_t first_step);  // first_step: steps done before
  void step(const StepRecord& record);
  void round(const RoundRecord& record);
  void line(const std::string& text);  // a result that stays on the screen

 private:
  double eta_after(std::int64_t step);
  void show(const std::function<std::string(int width)>& format);
  void clear_live_line();

  const ProgressStyle style_;
  const int width_;
  std::ostream& out_;
  const std::function<double()> clock_;

  RunPlan plan_;
  SmoothedMean seconds_per_step_;
  std::int64_t previous_step_ = 0;
  double previous_time_ = 0;
  bool line_shown_ = false;
};

}  // namespace rn::report
