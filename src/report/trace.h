// The times of some steps, recorded by each rank for itself; report/trace_file.h gathers and writes them.
//
// Spans of one lane nest, since each lane is written by one thread's scopes or by one queue. Outside of its
// steps, and with none asked for, a trace costs a comparison per span.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/options.h"

namespace rn::report {

// Not thread-safe: belongs to the thread that trains.
class Trace {
 public:
  using Clock = std::chrono::steady_clock;

  // What a span stands beside; one row each in a viewer.
  enum class Lane { kStep = 0, kCommunication = 1 };

  struct Event {
    Lane lane;
    std::string name;
    Clock::time_point start, end;
    nlohmann::json args;  // shown with the span; null: nothing
  };

  Trace() = default;  // never records
  // report.trace steps from report.trace_first_step on, or from `start` (the first step of this process,
  // counted from 1) if that is later.
  Trace(const ReportOptions& options, std::int64_t start);

  // Before every step: begins to record with the first one asked for.
  void begin_step(std::int64_t step);
  bool recording() const { return recording_; }
  // Whether `step`, just done, was the last one asked for.
  bool ends_with(std::int64_t step) const { return recording_ && step >= last_; }

  // Without effect unless recording.
  void add(Lane lane, const std::string& name, Clock::time_point start, Clock::time_point end,
           nlohmann::json args = {});

  // What was recorded; recording ends.
  std::vector<Event> take();

 private:
  std::int64_t first_ = 0, last_ = -1;
  bool recording_ = false;
  std::vector<Event> events_;
};

// Records its own lifetime on the lane of the step. Null, or not recording when it begins: nothing.
class TraceSpan {
 public:
  TraceSpan(Trace* trace, const char* name) : trace_(trace), name_(name) {
    if (trace_ != nullptr && !trace_->recording()) trace_ = nullptr;
    if (trace_ != nullptr) start_ = Trace::Clock::now();
  }
  TraceSpan(Trace* trace, const char* name, std::int64_t step) : TraceSpan(trace, name) { step_ = step; }
  ~TraceSpan();
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  Trace* trace_;
  const char* const name_;
  std::int64_t step_ = 0;  // 0: of no step's own
  Trace::Clock::time_point start_;
};

}  // namespace rn::report
