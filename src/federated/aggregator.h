// How the updates of a round become one: the weighted mean, a robust one, or a sum that hides its terms.
//
// All give the same bits whatever rank trained which client. One aggregator serves all rounds of a run.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/communicator.h"
#include "federated/options.h"
#include "federated/round_table.h"
#include "federated/secure_aggregation.h"
#include "model/flat_parameters.h"

namespace rn::federated {

// A sum over clients in the communicator's memory, see exact_sum.h.
class ExactAccumulator {
 public:
  ExactAccumulator(const model::FlatParameters& params, Communicator& communicator);
  void clear() { sum_.zero_(); }
  void add(const torch::Tensor& values, double weight);
  // Collective. out := scale * the sum over all ranks.
  void finish(double scale, torch::Tensor& out);

 private:
  Communicator& communicator_;
  std::shared_ptr<Buffer> memory_;
  torch::Tensor sum_;  // [layout.size()] float64
};

class Aggregator {
 public:
  virtual ~Aggregator() = default;

  // `clients`: those of the round's places, ascending.
  virtual void begin(std::int64_t round, const std::vector<std::int64_t>& clients) = 0;
  // An update that counts. `weight` times the update is what the mean takes; robust ones weigh all alike.
  virtual void add(std::size_t place, const torch::Tensor& update, double weight) = 0;
  // Collective, after the table was shared. `scale`: what the sum of the weighted updates is multiplied by,
  // since weights were planned before it was known which updates count.
  virtual void finish(const RoundTable& table, double scale, torch::Tensor& out) = 0;
};

// By federated.aggregation and federated.secure_aggregation. Borrows params and communicator.
std::unique_ptr<Aggregator> make_aggregator(const FederatedOptions& options,
                                            const model::FlatParameters& params, Communicator& communicator,
                                            std::uint64_t seed);

}  // namespace rn::federated
