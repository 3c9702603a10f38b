#include "model/network.h"

#include "core/random.h"
#include "model/dropout.h"

namespace rn::model {

torch::Tensor Network::dropout(const torch::Tensor& input, double p) {
  if (!is_training() || p == 0) return input;
  return model::dropout(input, p, CounterRandom(dropout_key_, Purpose::kDropout, dropout_calls_++, 0));
}

}  // namespace rn::model
