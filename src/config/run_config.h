// The whole run as one struct: the options of every module, as read from file and command line.
#pragma once

#include <cstdint>
#include <string>

#include "data/options.h"
#include "dist/options.h"
#include "federated/options.h"
#include "model/options.h"
#include "report/options.h"
#include "train/options.h"

namespace rn::config {

enum class Mode { kTrain, kFederated };
enum class Determinism { kNone, kStrict };  // `run.deterministic`: false | strict

struct RunOptions {
  std::string name = "run";
  std::string dir;  // empty: runs/<name>
  Mode mode = Mode::kTrain;
  std::uint64_t seed = 0;
  std::string resume = "auto";  // auto | never | must | path of a checkpoint
  Determinism deterministic = Determinism::kNone;
  bool overwrite = false;         // move an existing run folder aside and start anew
  double time_limit_seconds = 0;  // `run.time_limit`: seconds or [hours:]minutes:seconds; 0: none
};

struct RunConfig {
  RunOptions run;
  model::ModelOptions model;
  data::DataOptions data;
  data::AugmentOptions augment;
  train::TrainOptions train;
  train::OptimizerOptions optimizer;
  train::ScheduleOptions schedule;
  train::EmaOptions ema;
  train::SwaOptions swa;
  train::EvalOptions eval;
  train::CheckpointOptions checkpoint;
  federated::FederatedOptions federated;
  dist::DistOptions dist;
  report::ReportOptions report;
};

}  // namespace rn::config
