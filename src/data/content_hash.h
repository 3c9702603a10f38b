// The hash of a data set's content: part of a run's identity, and what `rn_dist data verify` prints.
#pragma once

#include <cstdint>

#include "data/dataset.h"

namespace rn::data {

// Over shapes, pixels and labels of the three splits, in order; not over names or where they were read from.
std::uint64_t content_hash(const ImageSet& train, const ImageSet& val, const ImageSet& test);

}  // namespace rn::data
