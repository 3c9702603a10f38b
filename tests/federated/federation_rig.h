// A federated run on one rank, assembled as the program does it, on a partition of the test's own.
#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dist/single_communicator.h"
#include "federated/federation.h"
#include "model/factory.h"

namespace rn::federated::testing {

inline constexpr int kClasses = 10;

// Clients of these sizes, with consecutive images.
inline Partition consecutive(const std::vector<std::int64_t>& sizes) {
  std::vector<std::uint32_t> indices;
  std::vector<std::int64_t> offsets = {0};
  for (const std::int64_t size : sizes) {
    for (std::int64_t i = 0; i < size; ++i) indices.push_back(static_cast<std::uint32_t>(indices.size()));
    offsets.push_back(static_cast<std::int64_t>(indices.size()));
  }
  return Partition(std::move(indices), std::move(offsets));
}

// The images of tools/golden/make_federated_golden.py.
inline data::ImageSet formula_images(std::int64_t size) {
  data::ImageSet images;
  images.size = size;
  images.pixels.resize(static_cast<std::size_t>(size) * 3 * 32 * 32);
  for (std::size_t k = 0; k < images.pixels.size(); ++k) {
    images.pixels[k] = static_cast<std::uint8_t>(((k * 2654435761ULL) >> 13) & 255);
  }
  for (std::int64_t i = 0; i < size; ++i)
    images.labels.push_back(static_cast<std::uint8_t>((i * 7 + i / 10) % 10));
  return images;
}

struct RigOptions {
  FederatedOptions federated;
  LocalOptions local;
  std::vector<std::int64_t> sizes = {5, 8, 12, 15};
  torch::ScalarType dtype = torch::kFloat64;
  std::string model = "lenet";

  // Every client in every round, plain SGD, no augmentation.
  RigOptions() {
    federated.clients = 4;
    federated.cohort = 4;
    local.batch = 5;
    local.seed = 5;
    local.optimizer.lr = 0.05;
    local.optimizer.momentum = 0;
    local.optimizer.nesterov = false;
    local.optimizer.weight_decay = 0;
    local.augment.crop_padding = 0;
    local.augment.flip = data::Flip::kNone;
    local.augment.normalize = "none";
  }
};

class Rig {
 public:
  explicit Rig(const RigOptions& options)
      : options_(options),
        partition(consecutive(options.sizes)),
        images(formula_images(partition.total())),
        net(make_net(options)),
        params(*net, communicator, std::int64_t{1} << 40),
        trainer(*net, params, images, kClasses, options.local),
        algorithm(make_algorithm(options.federated, options.local.optimizer, params, trainer)),
        cohorts(options.federated, shape(options), options.local.seed),
        privacy(options.federated, cohorts.wanted()),
        pipeline(options.federated, params, options.local.seed, privacy.noise_multiplier()),
        row{algorithm->client_state_size(), pipeline.residual_size(),
            LocalNorms(options.federated, *net, params)},
        state(params, *algorithm, options.federated, cohorts),
        clients(io::posix_file_system(), partition.clients(), row.size(), options.dtype,
                std::int64_t{1} << 30, "unused"),
        federation(options.federated, options.local.seed, communicator, partition, cohorts, trainer, state,
                   clients, row, pipeline, privacy) {}

  RoundResult round() { return federation.run_round(options_.local.optimizer.lr, /*stop_reason=*/0); }

  // The server's weights in the order of named_parameters, row-major.
  torch::Tensor weights() const {
    std::vector<torch::Tensor> parts;
    for (const std::size_t i : params.model_order()) {
      parts.push_back(params.view(state.weights, params.layout().entries()[i]).reshape({-1}));
    }
    return torch::cat(parts);
  }

 private:
  const RigOptions options_;

 public:
  dist::SingleCommunicator communicator;
  Partition partition;
  data::ImageSet images;
  std::shared_ptr<model::Network> net;
  model::FlatParameters params;
  LocalTrainer trainer;
  std::unique_ptr<Algorithm> algorithm;
  CohortSampler cohorts;
  PrivacyAccount privacy;
  UpdatePipeline pipeline;
  ClientRow row;
  FederatedState state;
  ClientStates clients;
  Federation federation;

 private:
  // Weights of a formula that every language computes alike.
  static std::shared_ptr<model::Network> make_net(const RigOptions& options) {
    model::ModelOptions model;
    model.name = options.model;
    if (options.model == "resnet9") model.width = 4;
    auto net = model::make_network(model, kClasses, /*seed=*/1, nullptr);
    const torch::NoGradGuard no_grad;
    std::int64_t salt = 0;
    for (auto& parameter : net->parameters()) {
      auto values = torch::empty(parameter.sizes(), torch::kFloat64);
      const double fan_in = parameter.dim() > 1 ? static_cast<double>(parameter[0].numel()) : 100.0;
      for (std::int64_t k = 0; k < values.numel(); ++k) {
        const auto hash = static_cast<std::uint64_t>(k + salt * 1000003) * 2654435761ULL % (1ULL << 32);
        values.data_ptr<double>()[k] =
            (static_cast<double>(hash) / 4294967296.0 - 0.5) * 4 / std::sqrt(fan_in);
      }
      parameter.copy_(values);
      ++salt;
    }
    net->to(options.dtype);
    return net;
  }

  static CohortShape shape(const RigOptions& options) {
    return {.client_images = options.sizes, .batch = options.local.batch};
  }
};

}  // namespace rn::federated::testing
