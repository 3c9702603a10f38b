// Small steps that commands share: from the configuration to the objects of a run.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "config/run_config.h"
#include "dist/session.h"
#include "model/flat_parameters.h"
#include "train/precision.h"
#include "train/trainer.h"

namespace rn::app {

// Sets LibTorch's threads to the rank's share, tells the communicator of a GPU on which stream LibTorch
// works (with `own_stream` not on the default one, see model::use_own_stream), and returns the rank's device.
torch::Device prepare_device(dist::Session& session, bool own_stream = false);

// Throws ConfigError for options that `device` cannot serve.
void check_device_options(const config::RunConfig& config, torch::Device device);

// dist.bucket_mib as elements of float32.
std::int64_t bucket_elements(const dist::DistOptions& options);

// eval, in batches whose activations a process on a CPU can spare.
train::EvalOptions eval_options(const config::RunConfig& config, torch::Device device);

// The trainer's options from the sections of the configuration.
train::TrainerOptions trainer_options(const config::RunConfig& config, train::Precision precision,
                                      torch::Device device, int world_size);

// The network of the configuration for these images, with fresh weights, on the CPU. Throws ConfigError where
// it cannot take them. Borrows `communicator`.
std::shared_ptr<model::Network> make_network(const config::RunConfig& config,
                                             const data::DatasetShape& images, Communicator& communicator);

// model.stem_init: what it asks for, from the first training images.
void initialize_stem(const config::RunConfig& config, const data::Dataset& dataset, model::Network& net);

// model.init_from: fills the model's tensors from a safetensors file by name and logs what was loaded,
// skipped and of another shape. Rank 0's weights are the ones that count: the state is broadcast afterwards.
void initialize_from(const std::string& path, model::FlatParameters& params);

// Collective. All ranks run the same program on the same configuration, precision, model and data, or every
// rank throws EnvironmentError that names what differs and on which ranks.
void check_ranks_agree(dist::Session& session, const config::RunConfig& config, train::Precision precision,
                       const FlatLayout& layout, std::uint64_t data_hash);

}  // namespace rn::app
