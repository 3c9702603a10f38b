// Norm statistics: re-estimation for averaged weights, and which of them are not finite.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/communicator.h"
#include "data/dataset.h"
#include "data/options.h"
#include "model/factory.h"
#include "train/averaging.h"
#include "train/precision.h"
#include "train/step_plan.h"

namespace rn::train {

// How the images are read and run through the network: as in training.
struct EstimationSetup {
  const data::AugmentOptions& augment;
  const data::DataOptions& data;  // loader threads
  Precision precision = Precision::kFP32;
  bool empty_shards_run = false;  // as StepOptions::empty_shards_run
  std::int64_t images = 0;        // how many training images; 0: all
  // Above 0: the shards of a step that are this rank's, summed as StepOptions::strict says.
  int strict_shards = 0;
  std::function<void()> on_batch;  // called after every batch, for the progress board; may be empty
};

// Collective. Sets swa.statistics to the mean of the batch statistics that the averaged weights have over the
// first `setup.images` training images (augmented; whole steps) of the epoch after the run, as
// torch.optim.swa_utils.update_bn does over its loader; each shard weighted by its count. The model's own
// weights and statistics keep their bits.
void reestimate_statistics(model::Network& net, model::FlatParameters& params, const data::ImageSet& images,
                           StepPlan& plan, std::int64_t total_steps, const EstimationSetup& setup,
                           Communicator& communicator, Swa& swa);

// The name of the first running statistic in `values` (shaped like params.statistics) with a number that is
// not finite, e.g. "layer1.0.bn1.running_var"; empty: all are finite.
std::string non_finite_statistic(const model::FlatParameters& params, const torch::Tensor& values);

}  // namespace rn::train
