#include "app/setup.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "app/version.h"
#include "config/derived.h"
#include "config/dump.h"
#include "core/error.h"
#include "core/log.h"
#include "dist/agreement.h"
#include "dist/launch_env.h"
#include "dist/nccl_communicator.h"
#include "io/file_system.h"
#include "io/safetensors.h"
#include "model/device_stream.h"
#include "model/factory.h"
#include "model/safetensors_weights.h"
#include "model/stem_whitening.h"
#include "train/batch.h"

namespace rn::app {

torch::Device prepare_device(dist::Session& session, bool own_stream) {
  at::set_num_threads(session.threads());
  if (session.device_index() < 0) return torch::kCPU;
  const torch::Device device(torch::kCUDA, static_cast<c10::DeviceIndex>(session.device_index()));
  if (own_stream) model::use_own_stream(device);
  if (auto* communicator = session.device_communicator()) {
    communicator->set_compute_stream(model::current_stream(device));
  }
  return device;
}

void check_device_options(const config::RunConfig& config, torch::Device device) {
  if (config.data.on_device && !device.is_cuda()) {
    throw ConfigError(
        "data.on_device: true keeps the images on a GPU, and this run computes on the CPU; leave it false");
  }
  if (config.train.cuda_graph && !device.is_cuda()) {
    throw ConfigError(
        "train.cuda_graph: true launches steps as a GPU's graph, and this run computes on the CPU; leave it "
        "false");
  }
}

std::int64_t bucket_elements(const dist::DistOptions& options) {
  constexpr double kElementsPerMiB = 1024.0 * 1024.0 / sizeof(float);
  return std::max<std::int64_t>(1, std::llround(options.bucket_mib * kElementsPerMiB));
}

std::shared_ptr<model::Network> make_network(const config::RunConfig& config,
                                             const data::DatasetShape& images, Communicator& communicator) {
  model::require_image_size(config.model, images.height, images.width);
  return model::make_network(config.model, images.classes, config.run.seed, &communicator);
}

void initialize_stem(const config::RunConfig& config, const data::Dataset& dataset, model::Network& net) {
  if (config.model.stem_init != "whitening") return;
  constexpr std::int64_t kImages = 2000;  // a few million patches: their covariance has settled
  data::ShardRequest request;
  request.indices.resize(static_cast<std::size_t>(std::min(kImages, dataset.train.size)));
  std::iota(request.indices.begin(), request.indices.end(), 0);
  const auto batch = data::make_batch(dataset.train, config.augment, request);
  model::whiten_stem(net, train::to_batch(batch, dataset.train.channels, dataset.train.height,
                                          dataset.train.width, torch::kCPU, torch::kFloat32)
                              .images);
}

void initialize_from(const std::string& path, model::FlatParameters& params) {
  const auto file = io::read_safetensors(io::posix_file_system(), path);
  const auto report = model::load_weights(params, file, path, model::LoadMode::kInitFrom);
  log_info("model.init_from: ", report.describe());
}

train::EvalOptions eval_options(const config::RunConfig& config, torch::Device device) {
  // Larger batches are not faster there. Those of the default would be most of a process's memory: 340 MiB of
  // activations for pfl-research's network, 400 MiB more than a training step of 64 images for ResNet-18.
  constexpr std::int64_t kMostOnCpu = 100;
  train::EvalOptions options = config.eval;
  if (device.is_cpu()) options.batch = std::min(options.batch, kMostOnCpu);
  return options;
}

train::TrainerOptions trainer_options(const config::RunConfig& config, train::Precision precision,
                                      torch::Device device, int world_size) {
  train::TrainerOptions options;
  options.train = config.train;
  options.optimizer = config.optimizer;
  options.schedule = config.schedule;
  options.swa = config.swa;
  options.eval = eval_options(config, device);
  options.checkpoint = config.checkpoint;
  options.data = config.data;
  options.augment = config.augment;
  options.report = config.report;
  options.step.accumulate = config::shards_of_rank(config, world_size);
  options.step.strict = config::is_strict(config);
  options.step.label_smoothing = config.train.label_smoothing;
  options.step.clip_norm = config.train.clip_norm;
  options.step.wire = config.dist.all_reduce_dtype == dist::WireType::kBF16 ? DType::kBF16 : DType::kF32;
  options.step.empty_shards_run = config.model.norm == model::Norm::kSyncBatch;
  options.precision = precision;
  options.seed = config.run.seed;
  options.run_dir = config::run_folder(config);
  double limit = config.run.time_limit_seconds;  // 0: none
  if (const auto left = dist::seconds_to_job_end()) limit = limit > 0 ? std::min(limit, *left) : *left;
  options.time_limit = std::chrono::duration<double>(limit);
  return options;
}

void check_ranks_agree(dist::Session& session, const config::RunConfig& config, train::Precision precision,
                       const FlatLayout& layout, std::uint64_t data_hash) {
  std::vector<dist::AgreementItem> items = {
      {"program and library versions", version_line()},
      // Processors of different age choose differently for train.precision: auto.
      {"computing precision", std::string(train::name_of(precision))},
      {"parameter names and shapes", dist::hash_text(layout.fingerprint())},
      {"data content", dist::hash_text(data_hash)}};
  const auto json = config::to_json(config);  // items() of a temporary would outlive it
  for (const auto& [section, options] : json.items()) {
    for (const auto& [name, value] : options.items()) items.push_back({section + "." + name, value.dump()});
  }
  dist::check_agreement(session.host(), items);
}

}  // namespace rn::app
