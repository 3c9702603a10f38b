// Weights from and to safetensors files, by torchvision's names, so that Python and this program read each
// other's.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"
#include "model/flat_parameters.h"

namespace rn::model {

enum class LoadMode {
  kStrict,    // the file holds exactly this model
  kInitFrom,  // what fits is taken (model.init_from): a head of another class count keeps its fresh weights
};

// What became of each name. `num_batches_tracked`, PyTorch's step counter of batch norm, is in none of them.
struct LoadReport {
  std::vector<std::string> loaded;
  std::vector<std::string> skipped;  // in the file, not in the model
  std::vector<std::string> missing;  // in the model, not in the file: left as they were
  struct OtherShape {
    std::string name;
    std::vector<std::int64_t> in_file, in_model;
  };
  std::vector<OtherShape> other_shape;  // left as they were

  bool complete() const { return skipped.empty() && missing.empty() && other_shape.empty(); }
  // For the log: "60 loaded; 2 of another shape: fc.weight ([1000, 512] in the file, [10, 512] here), ...".
  std::string describe() const;
};

// Copies weights and running statistics from `file` (f32, f64, f16 or bf16, converted) into params.weights
// and params.statistics. Throws DataError, with nothing changed, that names `source` and
// - the tensors at fault, where the mode is kStrict and the report would not be complete,
// - a tensor of another element type, or
// - the file, where nothing in it fits.
LoadReport load_weights(FlatParameters& params, const io::SafetensorsFile& file, std::string_view source,
                        LoadMode mode);

struct NamedTensor {
  std::string name;
  torch::Tensor value;  // contiguous, on the CPU, a copy
};

// The state_dict of the model with the given weights (a storage of the layout) and statistics: parameters in
// model order, then running statistics, and `num_batches_tracked` (int64) = `batches_tracked` for every batch
// norm.
std::vector<NamedTensor> collect_weights(const FlatParameters& params, const torch::Tensor& weights,
                                         const torch::Tensor& statistics, std::int64_t batches_tracked);

// For io::write_safetensors. The views point into `tensors`.
std::vector<io::TensorView> tensor_views(std::span<const NamedTensor> tensors);

}  // namespace rn::model
