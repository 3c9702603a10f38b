#include "report/trace.h"

#include <algorithm>
#include <utility>

namespace rn::report {

Trace::Trace(const ReportOptions& options, std::int64_t start)
    : first_(std::max(options.trace_first_step, start)), last_(first_ + options.trace - 1) {}

void Trace::begin_step(std::int64_t step) {
  if (step >= first_ && step <= last_) recording_ = true;
}

void Trace::add(Lane lane, const std::string& name, Clock::time_point start, Clock::time_point end,
                nlohmann::json args) {
  if (recording_) events_.push_back({lane, name, start, end, std::move(args)});
}

std::vector<Trace::Event> Trace::take() {
  recording_ = false;
  last_ = -1;
  return std::exchange(events_, {});
}

TraceSpan::~TraceSpan() {
  if (trace_ == nullptr) return;
  const auto end = Trace::Clock::now();
  trace_->add(Trace::Lane::kStep, name_, start_, end,
              step_ > 0 ? nlohmann::json{{"step", step_}} : nlohmann::json());
}

}  // namespace rn::report
