// One round of a federated run: the cohort's clients trained on the ranks, their updates summed, the server's
// weights changed.
//
// A rank trains its clients one after another in its one resident model. What of a round depends on the rank
// count is who trains whom, and nothing else: sums are exact (exact_sum.h), numbers of single clients are
// shared by a table, and every rank applies the same sums to its copy of the server's state.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "federated/aggregator.h"
#include "federated/algorithm.h"
#include "federated/client_row.h"
#include "federated/client_states.h"
#include "federated/cohort.h"
#include "federated/federated_state.h"
#include "federated/local_trainer.h"
#include "federated/partition.h"
#include "federated/privacy.h"
#include "federated/round_table.h"
#include "federated/schedule.h"
#include "federated/update_pipeline.h"

namespace rn::federated {

// What a round was, the same on every rank but for idle_share.
struct RoundResult {
  std::int64_t clients = 0;  // whose updates count
  std::int64_t asked = 0, dropped = 0, late = 0;
  std::int64_t skipped = 0;     // left out as non-finite or exploding
  std::int64_t received = 0;    // updates that came up, late ones of an asynchronous server included
  double staleness = 0;         // mean over the clients whose updates count
  double train_loss = 0;        // mean over the images trained on
  double images = 0;            // repetitions included
  double update_norm = 0;       // mean over the clients, before clipping
  double mean_update_norm = 0;  // of what the server applied
  double below_bound = 0;       // updates that clipping left whole
  double idle_share = 0;        // of the ranks' time for clients
  double simulated_seconds = 0;
  int stop_reason = 0;  // the most urgent that a rank was asked for
};

class Federation {
 public:
  // Borrows everything but the options.
  Federation(const FederatedOptions& options, std::uint64_t seed, Communicator& communicator,
             const Partition& partition, const CohortSampler& cohorts, LocalTrainer& trainer,
             FederatedState& state, ClientStates& clients, const ClientRow& row,
             const UpdatePipeline& pipeline, const PrivacyAccount& privacy);

  // Collective. Trains and applies the round that state.progress stands at; afterwards the resident model
  // holds the server's weights. `stop_reason`: what this rank was asked for. Throws NonFiniteError on the
  // rank that meets a bad update with on_bad_update: stop.
  RoundResult run_round(double local_lr, int stop_reason);

 private:
  struct Round;
  void plan_weights(Round& round) const;
  void bring_states(const Round& round, const RankSchedule& schedule);
  AsyncState::Version start_of(const Round& round, const Participant& participant) const;
  void train_client(Round& round, std::size_t place, double local_lr);
  std::string objection_to(double norm, const LocalResult& result) const;
  void reject(const LocalTask& task, const std::string& objection) const;
  void record_owners(const Round& round, const RankSchedule& schedule);
  RoundResult result_of(const Round& round) const;
  void apply(const Round& round, RoundResult& result);
  void add_central_noise(const Round& round);
  void average_statistics(const Round& round, double counted);
  void advance(const Round& round, const RoundResult& result);

  const FederatedOptions options_;
  const std::uint64_t seed_;
  Communicator& communicator_;
  const Partition& partition_;
  const CohortSampler& cohorts_;
  model::FlatParameters& params_;
  LocalTrainer& trainer_;
  FederatedState& state_;
  ClientStates& clients_;
  const ClientRow& row_;
  const UpdatePipeline& pipeline_;
  const PrivacyAccount& privacy_;
  const std::vector<Slice> slices_;  // what of a storage is no padding

  std::unique_ptr<Aggregator> aggregator_;
  std::optional<ExactAccumulator> variates_;  // where the algorithm has some
  torch::Tensor mean_, mean_variate_;         // of the round; storages
  double weights_norm_ = 0;                   // of the server's weights at the round's start
};

}  // namespace rn::federated
