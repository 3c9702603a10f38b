// All that a federated run is, as TrainState is all that a training is. The clients' own rows
// (client_states.h) stand beside it in checkpoints.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "federated/algorithm.h"
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
  // Borrows both. The server's weights and statistics start as the model's.
  FederatedState(model::FlatParameters& resident, Algorithm& server_algorithm, double clip);

  void walk(train::StateVisitor& visitor) override;

  Algorithm& algorithm;
  torch::Tensor weights;     // x, a storage of the layout
  torch::Tensor statistics;  // the server's running statistics
  FederatedProgress progress;
};

}  // namespace rn::federated
