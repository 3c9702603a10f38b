#include "app/dry_run.h"

#include "app/layer_table.h"
#include "app/setup.h"
#include "config/derived.h"
#include "config/validate.h"
#include "core/error.h"
#include "dist/single_communicator.h"
#include "model/flat_parameters.h"
#include "train/step_plan.h"

namespace rn::app {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

// Storages of the flat layout that a run holds: weights, gradient, momentum, and the averages.
int storage_count(const config::RunConfig& config) {
  return 3 + (config.ema.enabled ? 1 : 0) + (config.swa.enabled ? 1 : 0);
}

}  // namespace

std::string describe_images(const data::DatasetShape& images) {
  return cat(images.train, " to train on, ", images.origin,
             images.val > 0 ? cat(", less ", images.val, " held out") : "", "; 3 x ", images.height, " x ",
             images.width);
}

void print_dry_run(const config::RunConfig& config, int world_size, std::ostream& out) {
  config::check_world(config, world_size);
  dist::SingleCommunicator communicator;
  const data::DatasetShape images = data::expected_shape(config.data);
  const auto net = make_network(config, images, communicator);
  const ModelCost cost = print_layers(*net, images, out);
  const model::FlatParameters params(*net, communicator, bucket_elements(config.dist));

  const std::int64_t batch = config::global_batch(config, world_size);
  const train::StepPlan plan(
      {images.train, batch, world_size, config::shards_of_rank(config, world_size), config.train.drop_last},
      config.run.seed, config.augment, images.height, images.width);
  const auto total = plan.total_steps(config.train.epochs, config.train.max_steps);
  const auto shard = plan.shard(plan.at(0), 0, 0).size();
  const auto precision = train::resolve_precision(config.train.precision, torch::kCPU);
  const double state_mib = storage_count(config) * static_cast<double>(params.weights.nbytes()) / kMiB;
  const double activation_bytes = precision == train::Precision::kFP32 ? 4.0 : 2.0;
  const double activation_mib = static_cast<double>(cost.activations * shard) * activation_bytes / kMiB;
  const double training_flops = cost.training_flops();
  out << '\n'
      << "parameters      " << cost.parameters << ", running statistics " << params.statistics.numel() << '\n'
      << "images          " << describe_images(images) << '\n'
      << format_line("compute         %.2f GFLOP per training image, %.1f TFLOP per epoch\n",
                     training_flops / 1e9, training_flops * static_cast<double>(images.train) / 1e12)
      << "precision       " << train::name_of(precision) << " on this machine's CPU\n"
      << "batch           " << batch << " global = " << world_size << " rank(s) x "
      << config::shards_of_rank(config, world_size) << " micro-step(s) x " << shard << " images\n"
      << format_line(
             "memory          about %.0f MiB per rank: %.0f weights, gradient and optimizer, %.0f "
             "activations\n",
             state_mib + activation_mib, state_mib, activation_mib)
      << format_line("steps           %lld: %lld per epoch, %.2f epochs\n", static_cast<long long>(total),
                     static_cast<long long>(plan.steps_per_epoch()), plan.epochs_done(total))
      << "run folder      " << config::run_folder(config) << '\n';
}

}  // namespace rn::app
