// What the training tests share: random images, and one rank's training assembled as the program does it.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/random.h"
#include "data/loader.h"
#include "model/factory.h"
#include "model/flat_parameters.h"
#include "model/model_testing.h"
#include "train/batch.h"
#include "train/optimizer.h"
#include "train/precision.h"
#include "train/step_plan.h"
#include "train/train_step.h"

namespace rn::train::testing {

using model::testing::relative_error;
using model::testing::tensor_of;

constexpr int kClasses = 10;

// Random pixels and labels: side x side, 3 channels.
inline data::ImageSet random_images(std::int64_t size, std::uint64_t seed, int side = 16) {
  data::ImageSet images;
  images.size = size;
  images.height = images.width = side;
  CounterRandom random(seed, Purpose::kSynthetic, 0, 0);
  images.pixels.resize(static_cast<std::size_t>(size * 3 * side * side));
  for (auto& pixel : images.pixels) pixel = static_cast<std::uint8_t>(random.below(256));
  images.labels.resize(static_cast<std::size_t>(size));
  for (auto& label : images.labels) label = static_cast<std::uint8_t>(random.below(kClasses));
  return images;
}

// A ResNet-18 of 44,000 parameters.
inline model::ModelOptions narrow_resnet(model::Norm norm) {
  model::ModelOptions options;
  options.width = 4;
  options.norm = norm;
  options.group_norm_groups = 2;
  return options;
}

struct RigOptions {
  model::ModelOptions model;
  torch::ScalarType dtype = torch::kFloat64;
  StepOptions step;
  OptimizerOptions optimizer;
  Precision precision = Precision::kFP32;
  data::AugmentOptions augment;
  std::int64_t bucket_cap = 1 << 12;  // elements: some ten buckets
};

// One rank's network, optimizer, loader and step. `plan(i, rank, micro_step)` says what step i trains on.
// Borrows communicator and images.
class Rig {
 public:
  using Plan = std::function<data::ShardRequest(std::int64_t, int, int)>;

  Rig(Communicator& communicator, const data::ImageSet& images, const RigOptions& options, Plan plan)
      : net(make_net(communicator, options)),
        params(*net, communicator, options.bucket_cap),
        optimizer(options.optimizer, params),
        scaler(options.precision, torch::kCPU),
        loader(images, options.augment, /*workers=*/1, /*prefetch=*/2,
               [plan = std::move(plan), rank = communicator.rank(), accumulate = options.step.accumulate,
                next = std::int64_t{0}]() mutable -> std::optional<data::ShardRequest> {
                 const std::int64_t shard = next++;
                 return plan(shard / accumulate, rank, static_cast<int>(shard % accumulate));
               }),
        batches(loader, images.channels, images.height, images.width, torch::kCPU, options.dtype),
        step(*net, params, communicator, optimizer, scaler, options.precision, with_empty_shards(options)) {
    net->train();
  }

  // The gradient of one entry, as a copy.
  torch::Tensor gradient(const FlatEntry& entry) const {
    return params.view(params.gradient, entry).detach().clone();
  }

  std::shared_ptr<model::Network> net;
  model::FlatParameters params;
  Sgd optimizer;
  LossScaler scaler;
  data::PrefetchLoader loader;
  LoaderBatches batches;
  TrainStep step;

 private:
  static std::shared_ptr<model::Network> make_net(Communicator& communicator, const RigOptions& options) {
    auto made = model::make_network(options.model, kClasses, /*seed=*/3, &communicator);
    made->to(options.dtype);
    return made;
  }
  static StepOptions with_empty_shards(const RigOptions& options) {
    StepOptions step = options.step;
    step.empty_shards_run = options.model.norm == model::Norm::kSyncBatch;  // as the program sets it
    return step;
  }
};

// The plan of the program's trainer.
inline Rig::Plan step_plan(StepPlan& plan) {
  return
      [&plan](std::int64_t step, int rank, int micro_step) { return plan.request(step, rank, micro_step); };
}

// A file of tools/golden: tests/data/train/<name>.safetensors.
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& name)
      : file_(io::read_safetensors(io::posix_file_system(),
                                   cat(RN_TEST_DATA_DIR, "/train/", name, ".safetensors"))) {}
  torch::Tensor operator[](const std::string& name) const {
    const auto* view = file_.find(name);
    if (view == nullptr) throw InternalError(cat("the golden file has no ", name));
    return tensor_of(*view);
  }
  bool has(const std::string& name) const { return file_.find(name) != nullptr; }

 private:
  io::SafetensorsFile file_;
};

// Whether two tensors hold the same bits (NaN included).
inline bool same_bits(const torch::Tensor& a, const torch::Tensor& b) {
  const auto x = a.detach().contiguous(), y = b.detach().contiguous();
  return x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() &&
         (x.numel() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}

}  // namespace rn::train::testing
