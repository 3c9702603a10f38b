#include "federated/federated_state.h"

namespace rn::federated {

FederatedState::FederatedState(model::FlatParameters& resident, Algorithm& server_algorithm,
                               const FederatedOptions& options, const CohortSampler& cohorts)
    : train::RunState(resident),
      algorithm(server_algorithm),
      weights(resident.weights.detach().clone()),
      statistics(resident.statistics.clone()) {
  progress.clip = options.clip_update;
  if (options.algorithm == "fedbuff") async.emplace(options, cohorts, resident);
}

void FederatedState::walk(train::StateVisitor& visitor) {
  visitor.storage("model", "", weights);
  visitor.statistics("model", "", statistics);
  algorithm.walk(visitor);
  visitor.value("round", progress.round);
  visitor.value("best_metric", progress.best_metric);
  visitor.value("best_step", progress.best_round);  // the name that run folders know
  visitor.value("simulated_seconds", progress.simulated_seconds);
  visitor.value("bytes_up", progress.bytes_up);
  visitor.value("bytes_down", progress.bytes_down);
  visitor.value("skipped_updates", progress.skipped_updates);
  visitor.value("clip", progress.clip);
  visitor.seconds("seconds", progress.seconds);
  if (async) async->walk(visitor, progress.round);
}

}  // namespace rn::federated
