// Name -> network.
#pragma once

#include <cstdint>
#include <memory>

#include "core/communicator.h"
#include "model/network.h"
#include "model/options.h"
#include "model/summary.h"

namespace rn::model {

// Fresh weights drawn by `seed` (see init.h), convolution weights channels-last. Throws ConfigError for an
// unknown name or an option that the model does not have. Borrows `communicator`, which sync_batch alone uses
// (may be null otherwise). Float32 on the CPU, in training mode; the caller moves it, before FlatParameters.
std::shared_ptr<Network> make_network(const ModelOptions& options, int classes, std::uint64_t seed,
                                      Communicator* communicator);

// Throws ConfigError where the model cannot work on images of this size: the small networks have one, the
// others a least one.
void require_image_size(const ModelOptions& options, int height, int width);

}  // namespace rn::model
