// Re-estimation of norm statistics for averaged weights.
#pragma once

#include <cstdint>

#include "core/communicator.h"
#include "data/dataset.h"
#include "model/factory.h"
#include "train/averaging.h"
#include "train/step_plan.h"
#include "train/trainer.h"

namespace rn::train {

// Collective. Sets swa.statistics to the mean of the batch statistics that the averaged weights have over the
// first swa.bn_images training images (augmented) of the epoch after the run, as
// torch.optim.swa_utils.update_bn does over its loader; each shard weighted by its count. The model's own
// weights and statistics keep their bits.
void reestimate_statistics(model::Network& net, model::FlatParameters& params, const data::ImageSet& images,
                           StepPlan& plan, std::int64_t total_steps, const TrainerOptions& options,
                           Communicator& communicator, Swa& swa);

}  // namespace rn::train
