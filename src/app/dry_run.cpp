#include "app/dry_run.h"

#include <cstdio>
#include <sstream>

#include "app/setup.h"
#include "config/derived.h"
#include "config/validate.h"
#include "dist/single_communicator.h"
#include "model/factory.h"
#include "model/flat_parameters.h"
#include "train/step_plan.h"

namespace rn::app {
namespace {

constexpr std::int64_t kCifarTrain = 50000;  // the files are not read
constexpr int kCifarSide = 32;
constexpr int kClasses = 10;
constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kBackwardFactor = 2.0;  // gradients of input and of weights: twice the forward pass

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const auto size : shape) text += cat(text.empty() ? "" : "x", size);
  return text;
}

std::string line(const char* format, auto... values) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

// Storages of the flat layout that a run holds: weights, gradient, momentum, and the averages.
int storage_count(const config::RunConfig& config) {
  return 3 + (config.ema.enabled ? 1 : 0) + (config.swa.enabled ? 1 : 0);
}

}  // namespace

void print_dry_run(const config::RunConfig& config, int world_size, std::ostream& out) {
  config::check_world(config, world_size);
  dist::SingleCommunicator communicator;
  auto net = model::make_network(config.model, kClasses, config.run.seed, &communicator);
  const auto layers = model::summarize(*net, kCifarSide, kCifarSide);
  std::int64_t flops = 0;
  std::int64_t activations = 0;
  std::int64_t parameters = 0;
  out << line("%-34s %14s %12s %14s\n", "layer", "output", "parameters", "MFLOP/image");
  for (const auto& layer : layers) {
    out << line("%-34s %14s %12lld %14.2f\n", layer.name.c_str(), shape_text(layer.output_shape).c_str(),
                static_cast<long long>(layer.parameters), static_cast<double>(layer.forward_flops) / 1e6);
    flops += layer.forward_flops;
    parameters += layer.parameters;
    std::int64_t elements = 1;
    for (const auto size : layer.output_shape) elements *= size;
    activations += elements;
  }
  const model::FlatParameters params(*net, communicator, bucket_elements(config.dist));

  const bool cifar = config.data.dataset == "cifar10";
  const std::int64_t samples = (cifar ? kCifarTrain : config.data.synthetic_train) - config.data.validation;
  const std::int64_t batch = config::global_batch(config, world_size);
  const train::StepPlan plan(
      {samples, batch, world_size, config::shards_of_rank(config, world_size), config.train.drop_last},
      config.run.seed, config.augment, kCifarSide, kCifarSide);
  const auto total = plan.total_steps(config.train.epochs, config.train.max_steps);
  const auto shard = plan.shard(plan.at(0), 0, 0).size();
  const auto precision = train::resolve_precision(config.train.precision, torch::kCPU);
  const double state_mib = storage_count(config) * static_cast<double>(params.weights.nbytes()) / kMiB;
  const double activation_bytes = precision == train::Precision::kFP32 ? 4.0 : 2.0;
  const double activation_mib = static_cast<double>(activations * shard) * activation_bytes / kMiB;
  const double training_flops = (1 + kBackwardFactor) * static_cast<double>(flops);
  out << '\n'
      << "parameters      " << parameters << ", running statistics " << params.statistics.numel() << '\n'
      << "images          " << samples << " to train on, "
      << (cifar ? cat("assuming the whole of CIFAR-10 (", kCifarTrain, ")") : "as data.synthetic_train says")
      << (config.data.validation > 0 ? cat(", less ", config.data.validation, " held out") : "") << '\n'
      << line("compute         %.2f GFLOP per training image, %.1f TFLOP per epoch\n", training_flops / 1e9,
              training_flops * static_cast<double>(samples) / 1e12)
      << "precision       " << train::name_of(precision) << " on this machine's CPU\n"
      << "batch           " << batch << " global = " << world_size << " rank(s) x "
      << config::shards_of_rank(config, world_size) << " micro-step(s) x " << shard << " images\n"
      << line(
             "memory          about %.0f MiB per rank: %.0f weights, gradient and optimizer, %.0f "
             "activations\n",
             state_mib + activation_mib, state_mib, activation_mib)
      << line("steps           %lld: %lld per epoch, %.2f epochs\n", static_cast<long long>(total),
              static_cast<long long>(plan.steps_per_epoch()), plan.epochs_done(total))
      << "run folder      " << config::run_folder(config) << '\n';
}

}  // namespace rn::app
