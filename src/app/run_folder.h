// The run folder: who may write there, and whether this run starts, resumes or is already done.
//
// Rank 0 alone touches it; the other ranks are told the outcome. Until then the folder is perhaps another
// run's: an error before or in the decision, or a finished run, leaves it as it was, without a failure.json.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/identity.h"
#include "config/run_config.h"
#include "data/dataset.h"
#include "dist/session.h"
#include "io/checkpoint_folder.h"
#include "io/run_lock.h"
#include "train/precision.h"
#include "train/step_plan.h"

namespace rn::app {

// What a run is besides its configuration: known once data, device and ranks are, kept in every checkpoint.
struct Identity {
  std::uint64_t data_hash = 0;
  std::string precision;  // what `auto` chose
  int ranks = 1;          // no part of the identity with sync_batch or group norm; a warning with batch
  std::int64_t total_steps = 0;  // not part of it: a finished run may be made longer
  std::string monitor;           // not part of it: what was best by another measure is forgotten

  std::string resumed_from;  // not part of it: run.resume where it is a path, which is obeyed once

  nlohmann::json to_json() const;
};
// config.run.resume where it is a path, else empty.
std::string resume_path(const config::RunConfig& config);
Identity make_identity(const config::RunConfig& config, const data::Dataset& dataset,
                       train::Precision precision, const train::StepPlan& plan);

class RunFolder {
 public:
  enum class Outcome : int { kStart, kResume, kFinished };

  // Collective over the session's host communicator. Opens and locks the folder of `config` and decides.
  // `checkpoint()` is there on rank 0 only, with kResume. `config` has its batch resolved
  // (config::resolve_batch). Throws ConfigError (another identity, with each differing key, both values and
  // the ways on; a folder that is no run's), EnvironmentError (another live run holds it, or it cannot be
  // written), DataError (run.resume: must without a checkpoint).
  RunFolder(const config::RunConfig& config, const Identity& identity, dist::Session& session);

  Outcome outcome() const { return outcome_; }
  std::int64_t resume_step() const { return resume_step_; }  // -1: from the start
  std::optional<io::LoadedCheckpoint>& checkpoint() { return checkpoint_; }
  io::CheckpointFolder& checkpoints() { return checkpoints_; }
  const std::string& dir() const { return dir_; }
  std::string finished_summary() const;  // the finished run's result, for people

  // Rank 0, before it writes. Throws Error when the folder was deleted or moved during the run: what stands
  // at its path now is not this run's, so no failure.json is written there either.
  void check_in_place(dist::Session& session) const;

 private:
  Outcome open(const config::RunConfig& config, const Identity& identity);
  Outcome continue_run(const config::RunConfig& config, const Identity& identity);
  void resume_from(const config::RunConfig& config, const Identity& identity);
  std::vector<config::IdentityDifference> differences_from_checkpoint(const Identity& identity) const;
  void forget_best();
  std::string resumed_from(std::int64_t step) const;
  io::LoadedCheckpoint load_last(std::int64_t last) const;
  std::optional<std::string> newest_intact() const;

  const std::string dir_;
  const bool is_federated_;   // its steps are rounds
  const std::string length_;  // the keys that make a run longer
  std::unique_ptr<io::RunLock> lock_;
  io::CheckpointFolder checkpoints_;
  Outcome outcome_ = Outcome::kStart;
  std::int64_t resume_step_ = -1;
  std::optional<io::LoadedCheckpoint> checkpoint_;
};

}  // namespace rn::app
