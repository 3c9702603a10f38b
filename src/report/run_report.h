// What a run tells the world: metrics.jsonl, TensorBoard, progress lines and summary.json. Rank 0 only
// writes; on the other ranks every call is a no-op.
//
// A report never ends a run: what cannot be written (full disk, lost mount) is warned about once and left
// out.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "report/options.h"
#include "report/records.h"

namespace rn::report {

// Not thread-safe: belongs to the thread that trains.
class RunReport {
 public:
  // Makes `run_dir` where it is missing. `resume_step` < 0: a fresh run; otherwise records after that step
  // are cut off first, and with `at_end`, when that step was the run's last, its evaluations too, which come
  // again. Throws ConfigError for an unknown report.progress.
  RunReport(const ReportOptions& options, const std::string& run_dir, bool writes, std::int64_t resume_step,
            bool at_end = false);
  ~RunReport();
  RunReport(const RunReport&) = delete;
  RunReport& operator=(const RunReport&) = delete;

  // `environment`: an object (world_size, devices, versions, resumed_from, ...), merged into the record.
  void run_start(const nlohmann::json& config, const nlohmann::json& environment, const RunPlan& plan);
  void step(const StepRecord& record);  // record and progress line
  void epoch(const EpochRecord& record);
  void eval(const EvalRecord& record);
  void round(const RoundRecord& record);  // record and progress line
  void personal(const PersonalRecord& record);
  void checkpoint(const CheckpointRecord& record);  // record only
  // Writes the run_end event and summary.json (see Summary::to_json; `totals`: an object merged into it), and
  // prints the run's last line.
  void run_end(const std::string& status, int exit_code, const nlohmann::json& totals);

  // Images per second: the median over step records, the first after each start left out. NaN: none.
  double images_per_second() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;  // null on the ranks that do not write
};

}  // namespace rn::report
