// Steps from the configuration to the objects of a federated run, for the run and for what only describes it.
#pragma once

#include <cstdint>
#include <vector>

#include "config/run_config.h"
#include "federated/cohort.h"
#include "federated/local_trainer.h"
#include "federated/partition.h"
#include "federated/update_pipeline.h"
#include "model/flat_parameters.h"
#include "train/precision.h"

namespace rn::app {

// No gradient travels, so the layout has one bucket, whatever dist.bucket_mib says.
inline constexpr std::int64_t kOneBucket = std::int64_t{1} << 40;

// Local training, without on_step.
federated::LocalOptions local_options(const config::RunConfig& config, train::Precision precision);

// [clients], images of each.
std::vector<std::int64_t> client_images(const federated::Partition& partition);

// What clients and server send each other, for simulated times and for the records.
federated::CohortShape cohort_shape(const config::RunConfig& config, std::vector<std::int64_t> client_images,
                                    const model::FlatParameters& params,
                                    const federated::UpdatePipeline& pipeline);

// The clients of a rank's first round, or of the first server step of an asynchronous run.
federated::Cohort first_cohort(const federated::FederatedOptions& options,
                               const federated::CohortSampler& cohorts);

}  // namespace rn::app
