#include "app/federated_setup.h"

#include <algorithm>
#include <utility>

#include "config/derived.h"
#include "federated/async_timeline.h"

namespace rn::app {

using namespace federated;

LocalOptions local_options(const config::RunConfig& config, train::Precision precision) {
  LocalOptions options;
  options.optimizer = config.optimizer;
  options.augment = config.augment;
  options.batch = config::global_batch(config, 1);
  options.drop_last = config.train.drop_last;
  options.label_smoothing = config.train.label_smoothing;
  options.clip_norm = config.train.clip_norm;
  options.precision = precision;
  options.seed = config.run.seed;
  return options;
}

std::vector<std::int64_t> client_images(const Partition& partition) {
  std::vector<std::int64_t> images;
  images.reserve(static_cast<std::size_t>(partition.clients()));
  for (std::int64_t client = 0; client < partition.clients(); ++client) {
    images.push_back(partition.size(client));
  }
  return images;
}

CohortShape cohort_shape(const config::RunConfig& config, std::vector<std::int64_t> client_images,
                         const model::FlatParameters& params, const UpdatePipeline& pipeline) {
  CohortShape shape;
  shape.client_images = std::move(client_images);
  shape.batch = config::global_batch(config, 1);
  shape.drop_last = config.train.drop_last;
  const auto statistics = static_cast<std::int64_t>(params.statistics.nbytes());
  const auto model_bytes =
      params.layout().numel() * static_cast<std::int64_t>(params.weights.element_size()) + statistics;
  // SCAFFOLD's variate goes down with the weights, its change up with the update.
  const bool twice = config.federated.algorithm == "scaffold";
  shape.bytes_down = model_bytes * (twice ? 2 : 1);
  shape.bytes_up = pipeline.bytes_up() + statistics + (twice ? model_bytes : 0);
  return shape;
}

Cohort first_cohort(const FederatedOptions& options, const CohortSampler& cohorts) {
  if (options.algorithm == "fedbuff") return AsyncTimeline(options, cohorts).next_step(/*version=*/0);
  return cohorts.draw(/*round=*/0);
}

}  // namespace rn::app
