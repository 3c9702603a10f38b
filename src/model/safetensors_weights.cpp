#include "model/safetensors_weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <sstream>
#include <utility>

#include "core/error.h"
#include "model/tensor_dtype.h"

namespace rn::model {
namespace {

constexpr std::string_view kMean = ".running_mean";
constexpr std::string_view kBatchesTracked = "num_batches_tracked";

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16 || dtype == DType::kBF16;
}

// A copy: the bytes of a file need not be aligned.
torch::Tensor to_tensor(const io::TensorView& source) {
  auto tensor = torch::empty(source.shape, scalar_type_of(source.dtype));
  RN_CHECK(static_cast<std::size_t>(tensor.nbytes()) == source.bytes.size(), source.name);
  if (!source.bytes.empty()) std::memcpy(tensor.data_ptr(), source.bytes.data(), source.bytes.size());
  return tensor;
}

// Views of the model's tensors by name.
std::map<std::string, torch::Tensor, std::less<>> targets_of(const FlatParameters& params) {
  std::map<std::string, torch::Tensor, std::less<>> targets;
  for (const FlatEntry& entry : params.layout().entries()) {
    targets.emplace(entry.spec.name, params.view(params.weights, entry));
  }
  for (const auto& entry : params.statistic_entries()) {
    targets.emplace(entry.name, params.view(params.statistics, entry));
  }
  return targets;
}

bool is_batch_counter(std::string_view name) {
  return name == kBatchesTracked || name.ends_with(cat(".", kBatchesTracked));
}

std::string join(const std::vector<std::string>& names) {
  std::string out;
  constexpr std::size_t kShown = 6;  // a whole network's names would bury the message
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) out += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) out += cat(" and ", names.size() - kShown, " more");
  return out;
}

std::string shape_text(const std::vector<std::int64_t>& shape) { return cat(torch::IntArrayRef(shape)); }

std::vector<std::string> shape_lines(const std::vector<LoadReport::OtherShape>& tensors) {
  std::vector<std::string> lines;
  for (const auto& t : tensors) {
    lines.push_back(
        cat(t.name, " (", shape_text(t.in_file), " in the file, ", shape_text(t.in_model), " here)"));
  }
  return lines;
}

}  // namespace

std::string LoadReport::describe() const {
  std::string out = cat(loaded.size(), " loaded");
  if (!other_shape.empty())
    out += cat("; ", other_shape.size(), " of another shape: ", join(shape_lines(other_shape)));
  if (!missing.empty()) out += cat("; ", missing.size(), " not in the file: ", join(missing));
  if (!skipped.empty()) out += cat("; ", skipped.size(), " not in the model: ", join(skipped));
  return out;
}

LoadReport load_weights(FlatParameters& params, const io::SafetensorsFile& file, std::string_view source,
                        LoadMode mode) {
  auto targets = targets_of(params);
  LoadReport report;
  std::vector<std::pair<torch::Tensor, const io::TensorView*>> copies;
  for (const io::TensorView& tensor : file.tensors) {
    if (is_batch_counter(tensor.name)) continue;
    const auto target = targets.find(tensor.name);
    if (target == targets.end()) {
      report.skipped.push_back(tensor.name);
      continue;
    }
    if (tensor.shape != target->second.sizes().vec()) {
      report.other_shape.push_back({tensor.name, tensor.shape, target->second.sizes().vec()});
    } else if (!is_float(tensor.dtype)) {
      throw DataError(cat(source, ": ", tensor.name, " has the type ", name_of(tensor.dtype),
                          "; weights are f32, f64, f16 or bf16"));
    } else {
      report.loaded.push_back(tensor.name);
      copies.emplace_back(target->second, &tensor);
    }
    targets.erase(target);
  }
  for (const auto& [name, unused] : targets) report.missing.push_back(name);

  if (mode == LoadMode::kStrict && !report.complete()) {
    throw DataError(cat(source, " does not hold this model: ", report.describe()));
  }
  if (report.loaded.empty()) throw DataError(cat(source, " has nothing for this model: ", report.describe()));
  const torch::NoGradGuard no_grad;
  for (auto& [target, tensor] : copies) target.copy_(to_tensor(*tensor));
  return report;
}

std::vector<NamedTensor> collect_weights(const FlatParameters& params, const torch::Tensor& weights,
                                         const torch::Tensor& statistics, std::int64_t batches_tracked) {
  const torch::NoGradGuard no_grad;
  const auto copy = [](const torch::Tensor& view) {
    return torch::empty(view.sizes(), view.options().device(torch::kCPU)).copy_(view);
  };
  std::vector<NamedTensor> tensors;
  for (const std::size_t index : params.model_order()) {
    const FlatEntry& entry = params.layout().entries()[index];
    tensors.push_back({entry.spec.name, copy(params.view(weights, entry))});
  }
  std::vector<NamedTensor> counters;
  for (const auto& entry : params.statistic_entries()) {
    tensors.push_back({entry.name, copy(params.view(statistics, entry))});
    if (entry.name.ends_with(kMean)) {
      const auto layer = entry.name.substr(0, entry.name.size() - kMean.size());
      counters.push_back({cat(layer, ".", kBatchesTracked), torch::full({}, batches_tracked, torch::kInt64)});
    }
  }
  tensors.insert(tensors.end(), counters.begin(), counters.end());
  return tensors;
}

std::vector<io::TensorView> tensor_views(std::span<const NamedTensor> tensors) {
  std::vector<io::TensorView> views;
  for (const NamedTensor& tensor : tensors) {
    RN_CHECK(tensor.value.is_contiguous() && tensor.value.device().is_cpu(), tensor.name);
    views.push_back({tensor.name,
                     dtype_of(tensor.value),
                     tensor.value.sizes().vec(),
                     {static_cast<const std::byte*>(tensor.value.data_ptr()),
                      static_cast<std::size_t>(tensor.value.nbytes())}});
  }
  return views;
}

}  // namespace rn::model
