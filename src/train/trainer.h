// The epoch loop: steps, votes, averages, evaluations, checkpoints, and the orderly end.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "dist/session.h"
#include "io/checkpoint_folder.h"
#include "model/factory.h"
#include "report/run_report.h"
#include "report/trace.h"
#include "train/checkpointer.h"
#include "train/evaluator.h"
#include "train/graphed_step.h"
#include "train/lr_schedule.h"
#include "train/options.h"
#include "train/step_plan.h"
#include "train/straggler_watch.h"
#include "train/train_state.h"
#include "train/train_step.h"
#include "train/vote.h"

namespace rn::train {

// The options that a trainer turns on, each from its own section of the configuration.
struct TrainerOptions {
  TrainOptions train;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  SwaOptions swa;
  EvalOptions eval;
  CheckpointOptions checkpoint;
  data::DataOptions data;
  data::AugmentOptions augment;
  report::ReportOptions report;
  StepOptions step;
  Precision precision = Precision::kFP32;
  std::uint64_t seed = 0;
  std::string run_dir;
  std::chrono::duration<double> time_limit{0};  // 0: none
  nlohmann::json identity;                      // kept in every checkpoint, see app::Identity
  std::function<void()> check_run_folder;  // rank 0 calls it before it writes there; throws if it is gone
};

class Trainer {
 public:
  // Borrows everything; `state` is already that of the run's start or of the checkpoint it resumes from, and
  // equal on all ranks.
  Trainer(const TrainerOptions& options, dist::Session& session, model::Network& net,
          const data::Dataset& dataset, TrainState& state, StepPlan& plan, io::CheckpointFolder& checkpoints,
          report::RunReport& report);

  // Collective. Trains to the end of the run or to a requested stop, always ending with a checkpoint. Returns
  // the exit code. Throws NonFiniteError on every rank at the same step.
  ExitCode fit();

  std::int64_t total_steps() const { return total_steps_; }

 private:
  StepOptions step_options();
  void run_step(BatchSource& batches);
  [[noreturn]] void throw_out_of_memory(const Step& step, const std::string& details) const;
  void update_averages(std::int64_t step);
  std::optional<VoteResult> start_vote(std::int64_t step, const Ballot& ballot);
  void account(const VoteResult& result);
  [[noreturn]] void throw_non_finite(const VoteResult& result, const std::string& what);
  void finish_epoch();
  void evaluate_all(bool final);
  void agree_on_stop();
  EvalResult evaluate_set(const std::string& weights, const std::string& split, const data::ImageSet& images);
  void check_replicas();
  void save_checkpoint(bool last);
  void export_final_weights();
  void write_trace();
  ExitCode stop(dist::StopReason reason);
  ExitCode finish();
  dist::StopReason wanted_stop() const;
  report::Position position() const;
  bool is_due(double every_epochs) const;
  bool is_main() const { return session_.host().rank() == 0; }

  const TrainerOptions options_;
  dist::Session& session_;
  model::Network& net_;
  const data::Dataset& dataset_;
  TrainState& state_;
  StepPlan& plan_;
  report::RunReport& report_;
  const std::int64_t total_steps_;
  const LrSchedule schedule_;
  report::Trace trace_;
  TrainStep step_;
  std::optional<GraphedStep> graphed_;  // around step_, with train.cuda_graph
  Vote vote_;
  Checkpointer checkpointer_;
  StragglerWatch stragglers_;
  const std::chrono::steady_clock::time_point started_;

  dist::StopReason stop_ = dist::StopReason::kNone;  // what all ranks have agreed on
  double slowest_step_seconds_ = 0;
  // A vote is read one step late; what a step's record needs of this rank waits here. Index: step % 2.
  struct StepTimes {
    std::chrono::steady_clock::time_point finished;
    double data_wait = 0;
    double comm_wait = 0;
  };
  std::array<StepTimes, 2> times_{};
  // Since the last step record:
  std::chrono::steady_clock::time_point record_started_;
  std::int64_t record_images_ = 0;
  std::int64_t record_steps_ = 0;
  double record_data_wait_ = 0;
  double record_comm_wait_ = 0;
};

}  // namespace rn::train
