// What an asynchronous server keeps besides its weights: who is in flight, and the older weights that those
// clients started from.
//
// Memory: a copy of weights and running statistics per version in flight, at most as many as clients in
// flight, and at most federated.max_staleness where that is given.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <map>

#include "federated/async_timeline.h"
#include "model/flat_parameters.h"
#include "train/train_state.h"

namespace rn::federated {

class AsyncState {
 public:
  struct Version {
    torch::Tensor weights;     // a storage of the layout
    torch::Tensor statistics;  // running statistics
  };

  // Borrows cohorts and params.
  AsyncState(const FederatedOptions& options, const CohortSampler& cohorts,
             const model::FlatParameters& params);

  // The weights after `version` server steps. REQUIRES: kept, see keep().
  const Version& older(std::int64_t version) const { return older_.at(version); }

  // Before the weights of `version`, which are these, change: copies them if clients in flight started from
  // them, and drops what nobody needs any more.
  void keep(std::int64_t version, const torch::Tensor& weights, const torch::Tensor& statistics);

  // As part of the state of a run that has done `version` steps.
  void walk(train::StateVisitor& visitor, std::int64_t version);

  std::size_t versions() const { return older_.size(); }

  AsyncTimeline timeline;

 private:
  void walk_timeline(train::StateVisitor& visitor, std::int64_t version);

  const model::FlatParameters& params_;
  std::map<std::int64_t, Version> older_;  // by version
};

}  // namespace rn::federated
