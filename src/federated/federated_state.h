// All that a federated run is, as TrainState is all that a training is. The clients' own rows
// (client_states.h) stand beside it in checkpoints.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>

#include "federated/algorithm.h"
#include "federated/async_state.h"
#include "model/flat_parameters.h"
#include "train/train_state.h"

namespace rn::federated {

struct FederatedProgress {
  std::int64_t round = 0;  // rounds done
  double best_metric = -1;
  std::int64_t best_round = -1;  // below 0: none yet
  double simulated_seconds = 0;
  std::int64_t bytes_up = 0, bytes_down = 0;
  std::int64_t skipped_updates = 0;  // left out as non-finite or exploding
  double clip = 0;                   // bound of an update; adaptive_clip moves it
  double seconds = 0;                // of training, over all parts of the run
};

class FederatedState final : public train::RunState {
 public:
  // Borrows all but the options. The server's weights and statistics start as the model's.
  FederatedState(model::FlatParameters& resident, Algorithm& server_algorithm,
                 const FederatedOptions& options, const CohortSampler& cohorts);

  void walk(train::StateVisitor& visitor) override;
  train::Standing standing() override { return {progress.round, progress.best_metric, progress.best_round}; }

  Algorithm& algorithm;
  torch::Tensor weights;     // x, a storage of the layout
  torch::Tensor statistics;  // the server's running statistics
  FederatedProgress progress;
  std::optional<AsyncState> async;  // federated.algorithm: fedbuff
};

}  // namespace rn::federated
