#include "report/run_report.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <limits>
#include <optional>

#include "core/error.h"
#include "core/log.h"
#include "core/utc_time.h"
#include "io/atomic_file.h"
#include "io/file_system.h"
#include "report/progress.h"
#include "report/record_writer.h"
#include "report/summary.h"
#include "report/tensorboard_writer.h"
#include "report/terminal.h"

namespace rn::report {
namespace {

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of this process: the high-water mark of its resident set.
std::int64_t peak_memory_bytes() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  return usage.ru_maxrss;  // bytes there, KiB elsewhere
#else
  return std::int64_t{usage.ru_maxrss} * 1024;
#endif
}

void make_directory(const std::string& path) {
  try {
    io::posix_file_system().make_directory(path);
  } catch (const std::exception& error) {
    log_warning("[report] ", error.what());
  }
}

}  // namespace

struct RunReport::Impl {
  Impl(const ReportOptions& options, const std::string& run_dir_, std::int64_t resume_step_, bool at_end,
       Terminal terminal)
      : run_dir(run_dir_),
        resume_step(resume_step_),
        progress(progress_style(options.progress, terminal.live), terminal.width, std::cout, steady_seconds),
        start_seconds(steady_seconds()) {
    make_directory(options.tensorboard ? run_dir + "/tensorboard" : run_dir);
    records.emplace(
        run_dir + "/metrics.jsonl", resume_step, [this](const Json& record) { summary.add(record); }, at_end);
    if (options.tensorboard) tensorboard.emplace(run_dir + "/tensorboard", resume_step);
  }

  void add(const Json& record) {
    summary.add(record);
    records->write(record);
  }

  double elapsed_seconds() const { return steady_seconds() - start_seconds; }

  const std::string run_dir;
  const std::int64_t resume_step;
  Summary summary;
  std::optional<RecordWriter> records;
  std::optional<TensorboardWriter> tensorboard;
  Progress progress;
  bool by_rounds = false;  // of the run's plan
  const double start_seconds;
};

RunReport::RunReport(const ReportOptions& options, const std::string& run_dir, bool writes,
                     std::int64_t resume_step, bool at_end) {
  if (writes) impl_ = std::make_unique<Impl>(options, run_dir, resume_step, at_end, terminal_of_stdout());
}

RunReport::~RunReport() = default;

void RunReport::run_start(const nlohmann::json& config, const nlohmann::json& environment,
                          const RunPlan& plan) {
  if (!impl_) return;
  RN_CHECK(environment.is_null() || environment.is_object(), "environment is ", environment.type_name());
  Json record;
  record["event"] = "run_start";
  record["time"] = utc_now();
  for (const auto& [key, value] : environment.items()) record[key] = value;
  if (impl_->resume_step >= 0 && !record.contains("resumed_from"))
    record["resumed_from"] = impl_->resume_step;
  record["total_steps"] = plan.total_steps;
  record["steps_per_epoch"] = plan.steps_per_epoch;
  record["config"] = config;
  impl_->add(record);
  impl_->by_rounds = plan.by_rounds;
  impl_->progress.start(plan, std::max<std::int64_t>(0, impl_->resume_step));
}

void RunReport::step(const StepRecord& record) {
  if (!impl_) return;
  impl_->add(to_json(record, impl_->elapsed_seconds()));
  if (impl_->tensorboard) impl_->tensorboard->write(record);
  impl_->progress.step(record);
}

void RunReport::epoch(const EpochRecord& record) {
  if (!impl_) return;
  impl_->add(to_json(record));
  if (impl_->tensorboard) impl_->tensorboard->write(record);
  impl_->progress.line(format_epoch(record));
}

void RunReport::round(const RoundRecord& record) {
  if (!impl_) return;
  impl_->add(to_json(record, impl_->elapsed_seconds()));
  if (impl_->tensorboard) impl_->tensorboard->write(record);
  impl_->progress.round(record);
}

void RunReport::personal(const PersonalRecord& record) {
  if (!impl_) return;
  impl_->add(to_json(record));
  if (impl_->tensorboard) impl_->tensorboard->write(record);
  impl_->progress.line(format_personal(record));
}

void RunReport::eval(const EvalRecord& record) {
  if (!impl_) return;
  impl_->add(to_json(record));
  if (impl_->tensorboard) impl_->tensorboard->write(record);
  impl_->progress.line(format_eval(record, impl_->by_rounds));
}

void RunReport::checkpoint(const CheckpointRecord& record) {
  if (impl_) impl_->add(to_json(record));
}

void RunReport::run_end(const std::string& status, int exit_code, const nlohmann::json& totals) {
  if (!impl_) return;
  RN_CHECK(totals.is_null() || totals.is_object(), "totals are ", totals.type_name());
  Json record;
  record["event"] = "run_end";
  record["time"] = utc_now();
  record["status"] = status;
  record["exit_code"] = exit_code;
  record["seconds"] = impl_->elapsed_seconds();
  record["peak_memory_bytes"] = peak_memory_bytes();
  impl_->add(record);

  const std::string text = dump(impl_->summary.to_json(impl_->run_dir, totals), 2) + "\n";
  try {
    io::write_file_atomically(io::posix_file_system(), impl_->run_dir + "/summary.json", text);
  } catch (const std::exception& error) {
    log_warning("[report] the summary is not written: ", error.what());
  }
  impl_->progress.line(format_summary(impl_->summary, status, impl_->run_dir));
}

double RunReport::images_per_second() const {
  return impl_ ? impl_->summary.images_per_second() : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace rn::report
