// What a run tells the world: metrics.jsonl, TensorBoard, progress lines and summary.json. Rank 0 only writes; on the
// other ranks every call is a no-op.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "report/options.h"

namespace rn::report {

// Shared by records: where in the run.
struct Position {
  std::int64_t step = 0;        // optimizer steps done
  double epoch = 0;             // epochs done, fraction included
};

struct StepRecord {
  Position at;
  double loss = 0;                   // mean over the global batch
  double top1 = 0;                   // percent, of the global batch, as trained (augmented)
  double lr = 0;
  double images_per_second = 0;      // images / wall time since the previous record, waits included
  double data_wait_ms = 0;           // per step since the previous record, this rank
  double comm_wait_ms = 0;
  double grad_norm = -1;             // before clipping; below 0: not computed
  double loss_scale = 0;             // 0: no loss scaling
};

struct EpochRecord {
  Position at;
  double train_loss = 0;
  double train_top1 = 0;             // percent
  double lr = 0;
  double seconds = 0;
};

struct EvalRecord {
  Position at;
  std::string split;                 // test | val | train
  std::string weights;               // raw | ema | swa
  double top1 = 0;                   // percent
  double top5 = 0;
  double loss = 0;
  std::int64_t n = 0;
  double seconds = 0;
};

struct RunPlan {                      // for progress and ETA
  std::int64_t total_steps = 0;
  std::int64_t steps_per_epoch = 0;
};

class RunReport {
 public:
  // `resume_step` < 0: a fresh run; otherwise records after that step are cut off first.
  RunReport(const ReportOptions& options, const std::string& run_dir, bool writes, std::int64_t resume_step);
  ~RunReport();

  void run_start(const nlohmann::json& config, const nlohmann::json& environment, const RunPlan& plan);
  void step(const StepRecord& record);      // record and progress line
  void epoch(const EpochRecord& record);
  void eval(const EvalRecord& record);
  // Writes the run_end event and summary.json (the last and best results, totals, where things lie).
  void run_end(const std::string& status, int exit_code, const nlohmann::json& totals);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rn::report
