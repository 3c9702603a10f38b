// How well the server's weights serve each client: its accuracy on its own training images, as they are and
// after some local epochs.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/communicator.h"
#include "data/dataset.h"
#include "federated/client_row.h"
#include "federated/client_states.h"
#include "federated/federated_state.h"
#include "federated/local_trainer.h"
#include "federated/partition.h"
#include "model/factory.h"

namespace rn::federated {

struct PersonalSetup {
  double epochs = 0;  // of local training before; 0: none
  double lr = 0;
  std::int64_t batch = 0;        // of local training
  bool drop_last = false;        // likewise
  std::int64_t eval_batch = 0;   // images of a forward pass
  data::AugmentOptions augment;  // its normalisation only
  train::Precision precision = train::Precision::kFP32;
  std::function<void()> on_client;  // for the progress board; may be empty
};

// Collective: ranks share the clients, each with its own norms where they stay local. Accuracies in percent,
// [clients], the same bits on every rank and at any rank count. Changes no state; the resident model holds
// the server's weights afterwards.
std::vector<double> evaluate_clients(model::Network& net, const data::ImageSet& images,
                                     const Partition& partition, LocalTrainer& trainer, FederatedState& state,
                                     ClientStates& clients, const ClientRow& row, Communicator& host,
                                     const PersonalSetup& setup);

// The mean over the tenth of the clients (rounded up) that are served worst. REQUIRES: values not empty.
double worst_tenth(std::vector<double> values);

}  // namespace rn::federated
