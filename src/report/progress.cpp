#include "report/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <vector>

#include "core/error.h"

namespace rn::report {
namespace {

// Erases from the cursor to the end of the line.
constexpr const char* kEraseRest = "\x1b[K";
// Of the past in the pace that the ETA is made from: evaluations and slow steps weigh for some ten records.
constexpr double kPaceDecay = 0.9;
constexpr int kUnknownWidth = 100;

template <typename... Args>
std::string print(const char* format, Args... args) {
  char buffer[128];
  std::snprintf(buffer, sizeof(buffer), format, args...);
  return buffer;
}

// With at most two decimals, as few as it takes: 3, 2.5, 0.43.
std::string format_epochs(double epochs) {
  std::string text = print("%.2f", epochs);
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string format_milliseconds(double milliseconds) {
  return print(milliseconds < 9.95 ? "%.1f ms" : "%.0f ms", milliseconds);
}

struct Part {
  std::string text;
  int rank;  // 0: never left out; the highest goes first
};

std::string join(const std::vector<Part>& parts, int up_to_rank) {
  std::string line;
  for (const Part& part : parts) {
    if (part.rank > up_to_rank || part.text.empty()) continue;
    if (!line.empty()) line += "  ";
    line += part.text;
  }
  return line;
}

// The parts in one line, the least important left out until it is shorter than `width` (0: all).
std::string fit(const std::vector<Part>& parts, int width) {
  constexpr int kAll = 6;
  int rank = kAll;
  std::string line = join(parts, rank);
  while (width > 0 && rank > 0 && line.size() >= static_cast<std::size_t>(width)) line = join(parts, --rank);
  // What never goes may still be too long: a line that wraps cannot be drawn over.
  if (width > 0 && line.size() >= static_cast<std::size_t>(width))
    line.resize(static_cast<std::size_t>(width) - 1);
  return line;
}

}  // namespace

std::string format_duration(double seconds) {
  const auto total = static_cast<long long>(std::llround(std::max(seconds, 0.0)));
  const long long hours = total / 3600;
  const long long minutes = total / 60 % 60;
  if (hours > 0) return print("%lld:%02lld:%02lld", hours, minutes, total % 60);
  return print("%lld:%02lld", minutes, total % 60);
}

std::string format_progress(const StepRecord& record, const RunPlan& plan, double eta_seconds, int width) {
  std::string epoch = cat("epoch ", format_epochs(record.at.epoch));
  if (plan.steps_per_epoch > 0) {
    const double epochs = static_cast<double>(plan.total_steps) / static_cast<double>(plan.steps_per_epoch);
    epoch += cat("/", format_epochs(epochs));
  }
  const std::vector<Part> parts = {
      {epoch, 2},
      {cat("step ", record.at.step, "/", plan.total_steps), 0},
      {print("loss %.4f", record.loss), 0},
      {print("top-1 %.2f %%", record.top1), 1},
      {print("lr %.4g", record.lr), 5},
      {print("%.0f images/s", record.images_per_second), 3},
      {cat("data ", format_milliseconds(record.data_wait_ms)), 6},
      {cat("comm ", format_milliseconds(record.comm_wait_ms)), 6},
      {eta_seconds < 0 ? std::string() : cat("ETA ", format_duration(eta_seconds)), 4},
  };
  return fit(parts, width);
}

std::string format_epoch(const EpochRecord& record) {
  return cat("epoch ", format_epochs(record.at.epoch), print("  train loss %.4f", record.train_loss),
             print("  top-1 %.2f %%", record.train_top1), print("  lr %.4g  ", record.lr),
             format_duration(record.seconds));
}

std::string format_round(const RoundRecord& record, const RunPlan& plan, double eta_seconds, int width) {
  return fit(
      {
          {cat("round ", record.at.step, "/", plan.total_steps), 0},
          {cat(record.clients, " clients"), 2},
          {print("loss %.4f", record.train_loss), 0},
          {record.top1 < 0 ? std::string() : print("top-1 %.2f %%", record.top1), 0},
          {print("%.2f s", record.seconds), 3},
          {print("%.0f images/s", record.images_per_second), 4},
          {record.epsilon < 0 ? std::string() : print("epsilon %.3f", record.epsilon), 1},
          {eta_seconds < 0 ? std::string() : cat("ETA ", format_duration(eta_seconds)), 4},
      },
      width);
}

std::string format_personal(const PersonalRecord& record) {
  return cat("round ", record.at.step, print("  clients' own images: mean %.2f %%", record.mean),
             print("  worst tenth %.2f %%", record.worst_tenth),
             record.tuned_epochs > 0 ? print("  (%g epochs of tuning)", record.tuned_epochs) : std::string());
}

std::string format_eval(const EvalRecord& record, bool by_rounds) {
  return cat(by_rounds ? "round " : "epoch ", format_epochs(record.at.epoch), "  ", record.split,
             print(" top-1 %.2f %%", record.top1), print("  top-5 %.2f %%", record.top5),
             print("  loss %.4f", record.loss), "  ", record.n, print(" images in %.1f s (", record.seconds),
             record.weights, ")");
}

ProgressStyle progress_style(const std::string& name, bool terminal_is_live) {
  if (name == "auto") return terminal_is_live ? ProgressStyle::kLive : ProgressStyle::kPlain;
  if (name == "plain") return ProgressStyle::kPlain;
  if (name == "none") return ProgressStyle::kNone;
  throw ConfigError(cat("report.progress is '", name, "'; allowed: auto, plain, none"));
}

Progress::Progress(ProgressStyle style, int width, std::ostream& out, std::function<double()> clock)
    : style_(style),
      width_(width > 0 ? width : kUnknownWidth),
      out_(out),
      clock_(std::move(clock)),
      seconds_per_step_(kPaceDecay) {}

Progress::~Progress() {
  if (line_shown_) out_ << "\n" << std::flush;
}

void Progress::start(const RunPlan& plan, std::int64_t first_step) {
  plan_ = plan;
  previous_step_ = first_step;
  previous_time_ = clock_();
  seconds_per_step_ = SmoothedMean(kPaceDecay);
}

void Progress::step(const StepRecord& record) {
  const double eta = eta_after(record.at.step);
  show([&](int width) { return format_progress(record, plan_, eta, width); });
}

void Progress::round(const RoundRecord& record) {
  const double eta = eta_after(record.at.step);
  show([&](int width) { return format_round(record, plan_, eta, width); });
}

double Progress::eta_after(std::int64_t step) {
  const double now = clock_();
  const std::int64_t steps = step - previous_step_;
  if (steps > 0) {
    seconds_per_step_.add((now - previous_time_) / static_cast<double>(steps));
    previous_step_ = step;
    previous_time_ = now;
  }
  const double left = static_cast<double>(std::max<std::int64_t>(0, plan_.total_steps - step));
  return seconds_per_step_.empty() ? -1 : left * seconds_per_step_.mean();
}

void Progress::show(const std::function<std::string(int width)>& format) {
  if (style_ == ProgressStyle::kPlain) out_ << format(0) << "\n" << std::flush;
  if (style_ == ProgressStyle::kLive) {
    // The cursor goes back to the line's start at once: a log line of stderr then stands in its place, not
    // behind it.
    out_ << format(width_) << kEraseRest << "\r" << std::flush;
    line_shown_ = true;
  }
}

void Progress::line(const std::string& text) {
  if (style_ == ProgressStyle::kNone) return;
  clear_live_line();
  out_ << text << "\n" << std::flush;
}

void Progress::clear_live_line() {
  if (line_shown_) out_ << "\r" << kEraseRest;
  line_shown_ = false;
}

}  // namespace rn::report
