// Aggregations of robust_aggregation.h over updates that lie on several ranks.
//
// Every rank keeps the updates of its clients; a slice of coordinates at a time is brought together on all
// ranks, so memory beyond the updates is a few slices.
#pragma once

#include <memory>
#include <string>

#include "federated/aggregator.h"

namespace rn::federated {

enum class RobustRule { kNone, kMedian, kTrimmedMean, kKrum, kMultiKrum };
RobustRule robust_rule(const std::string& aggregation);  // of federated.aggregation

std::unique_ptr<Aggregator> make_robust_mean(RobustRule rule, const FederatedOptions& options,
                                             const model::FlatParameters& params, Communicator& communicator);

}  // namespace rn::federated
