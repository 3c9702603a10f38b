// What happens to a client's update on its way to the sum: attack, compression, clipping, local noise, in
// this order.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/flat_layout.h"
#include "federated/attack.h"
#include "federated/compression.h"
#include "federated/options.h"
#include "model/flat_parameters.h"

namespace rn::federated {

class UpdatePipeline {
 public:
  // `noise_multiplier`: as resolved from the options, see privacy.h.
  UpdatePipeline(const FederatedOptions& options, const model::FlatParameters& params, std::uint64_t seed,
                 double noise_multiplier);

  // Elements of a client's error feedback; 0: none.
  std::int64_t residual_size() const { return residual_size_; }
  std::int64_t bytes_up() const;  // of an update
  bool flips_labels(std::int64_t client) const { return attackers_ && attackers_->flips_labels(client); }

  struct Outcome {
    bool changed = false;     // whether the update may be another one now
    bool below_bound = true;  // whether clipping left it whole
  };

  // Changes `update` (a storage of the layout) to what the server adds. `residual`: the client's error
  // feedback, changed too; undefined without it. `clip`: bound of its norm; 0: none.
  Outcome apply(torch::Tensor& update, torch::Tensor residual, double clip, std::int64_t round,
                std::int64_t client) const;

 private:
  const FederatedOptions options_;
  const std::uint64_t seed_;
  const double noise_multiplier_;
  const std::vector<Slice> slices_;  // what of a storage is no padding
  std::optional<Attackers> attackers_;
  std::optional<UpdateCompressor> compressor_;
  std::int64_t residual_size_ = 0;
  std::int64_t plain_bytes_ = 0;
};

}  // namespace rn::federated
