// A federated run from its start or its checkpoint to its end: rounds, evaluations, checkpoints, reports, and
// the orderly stop.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "dist/session.h"
#include "federated/federation.h"
#include "io/checkpoint_folder.h"
#include "model/factory.h"
#include "report/run_report.h"
#include "train/checkpointer.h"
#include "train/evaluator.h"
#include "train/options.h"

namespace rn::federated {

struct SimulatorOptions {
  FederatedOptions federated;
  train::EvalOptions eval;
  train::CheckpointOptions checkpoint;
  data::DataOptions data;
  data::AugmentOptions augment;
  train::Precision precision = train::Precision::kFP32;
  double lr = 0;                              // of the clients in the first round
  std::int64_t bytes_up = 0, bytes_down = 0;  // of a client in a round
  // Collective: the clients' accuracies on their own images after so many local epochs at a rate, in percent.
  std::function<std::vector<double>(double epochs, double lr)> evaluate_clients;
  std::function<void()> plot_partition;  // rank 0, at the start
  std::string run_dir;
  std::chrono::duration<double> time_limit{0};  // 0: none
  nlohmann::json identity;                      // kept in every checkpoint
  std::function<void()> check_run_folder;  // rank 0 calls it before it writes there; throws if it is gone
};

class Simulator {
 public:
  // Borrows everything but the options; `state` and `clients` are already those of the run's start or of the
  // checkpoint it resumes from, alike on all ranks.
  Simulator(const SimulatorOptions& options, dist::Session& session, model::Network& net,
            const data::Dataset& dataset, Federation& federation, FederatedState& state,
            ClientStates& clients, const PrivacyAccount& privacy, io::CheckpointFolder& checkpoints,
            report::RunReport& report);

  // Collective. Runs to the last round or to a requested stop, always ending with a checkpoint. Returns the
  // exit code.
  ExitCode run();

 private:
  void run_round();
  double local_lr(std::int64_t round) const;
  // Returns the monitored split's top-1 in percent.
  double evaluate(bool final);
  train::EvalResult evaluate_split(const std::string& split, const data::ImageSet& images);
  void evaluate_personally();
  void judge(const std::string& split, const train::EvalResult& result);
  void check_replicas();
  train::MoreFiles gather_clients();
  void export_weights();
  ExitCode stop();
  ExitCode finish();
  int wanted_stop() const;
  report::Position position() const;
  bool is_main() const { return session_.host().rank() == 0; }
  bool is_due(std::int64_t every_rounds) const {
    return every_rounds > 0 && state_.progress.round % every_rounds == 0;
  }

  const SimulatorOptions options_;
  dist::Session& session_;
  model::Network& net_;
  const data::Dataset& dataset_;
  Federation& federation_;
  FederatedState& state_;
  ClientStates& clients_;
  const PrivacyAccount& privacy_;
  report::RunReport& report_;
  train::Checkpointer checkpointer_;
  const std::chrono::steady_clock::time_point started_;

  int stop_ = 0;  // dist::StopReason that all ranks have agreed on
  double slowest_round_seconds_ = 0;
};

}  // namespace rn::federated
