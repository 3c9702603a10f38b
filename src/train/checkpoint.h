// RunState <-> checkpoint folder: the visitors that write and read every storage by the parameters' names.
//
// Files hold torchvision's names and shapes, not the flat layout, so a checkpoint opens in Python, and at
// another rank count or bucket size. Rank 0 writes; between optimizer steps only.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/checkpoint_folder.h"
#include "train/train_state.h"

namespace rn::train {

// The state as contiguous CPU tensors, ready to be written. Owns what the views point into.
struct StateSnapshot {
  std::vector<torch::Tensor> tensors;
  std::vector<io::CheckpointFile> files;
  nlohmann::json values;
};

// Copies the state to the host. Tensors are hashed where they lie before they are copied, so that a
// checkpoint written from the copy is published only if it holds the state's own bits.
StateSnapshot take_snapshot(RunState& state);

// Fills the state from a checkpoint. Throws DataError that names the file and the tensor that is missing, of
// another shape or type; the state is unspecified then.
void restore(RunState& state, const io::LoadedCheckpoint& checkpoint);

// Writes one set of weights as Python loads it (a whole state_dict): <run>/model.safetensors,
// ema.safetensors, ... Published atomically.
void write_weights(io::FileSystem& files, const std::string& path, const model::FlatParameters& params,
                   const torch::Tensor& weights, const torch::Tensor& statistics, std::int64_t steps);

}  // namespace rn::train
