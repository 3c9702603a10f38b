// The weighted mean through simulated secure aggregation (secure_aggregation.h): the server sees masked
// vectors of a finite field and their sum only.
#pragma once

#include <cstdint>
#include <memory>

#include "federated/aggregator.h"

namespace rn::federated {

// Elements of cohort * weight * update beyond this are cut: the bound of the field's fixed-point numbers.
inline constexpr double kSecureBound = 4;

std::unique_ptr<Aggregator> make_secure_mean(const model::FlatParameters& params, Communicator& communicator,
                                             std::uint64_t seed);

}  // namespace rn::federated
