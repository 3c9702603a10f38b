#include "model/flat_parameters.h"

#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "model/norm.h"

namespace rn::model {
namespace {

std::vector<std::int64_t> row_major_strides(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t step = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

using TensorSet = std::unordered_set<const c10::TensorImpl*>;

TensorSet norm_biases(const torch::nn::Module& net) {
  TensorSet biases;
  for (const auto& module : net.modules(/*include_self=*/false)) {
    if (const auto* norm = module->as<NormLayerImpl>()) biases.insert(norm->bias.unsafeGetTensorImpl());
  }
  return biases;
}

int group_of(const torch::Tensor& parameter, const TensorSet& norm_biases) {
  if (!parameter.requires_grad()) return kFrozenGroup;
  if (norm_biases.contains(parameter.unsafeGetTensorImpl())) return kShiftGroup;
  return parameter.dim() <= 1 ? kPlainGroup : kDecayGroup;
}

// Channels-last for convolution weights [O, I, kH, kW]: the kernels want them so, and the memory is dense
// either way.
ParameterSpec spec_of(const std::string& name, const torch::Tensor& parameter, int group) {
  ParameterSpec spec{name, parameter.sizes().vec(), {}, group};
  if (parameter.dim() == 4) {
    const std::int64_t in = spec.shape[1], width = spec.shape[3];
    spec.strides = {in * spec.shape[2] * width, 1, in * width, in};
  } else {
    spec.strides = row_major_strides(spec.shape);
  }
  return spec;
}

torch::TensorOptions options_of(const torch::Tensor& tensor) {
  return torch::TensorOptions().dtype(tensor.scalar_type()).device(tensor.device());
}

// Zeros in the communicator's memory; in the device's own where the communicator reaches only the host's.
torch::Tensor allocate_gradient(std::int64_t size, const torch::TensorOptions& options,
                                Communicator& communicator) {
  if (communicator.on_device() != options.device().is_cuda()) return torch::zeros({size}, options);
  const auto bytes = static_cast<std::size_t>(size) * options.dtype().itemsize();
  auto memory = communicator.allocate(bytes);
  RN_CHECK(memory->bytes().size() >= bytes);
  void* const data = memory->bytes().data();
  // The tensor and its views keep the memory alive.
  return torch::from_blob(
      data, {size}, [memory = std::move(memory)](void*) mutable { memory.reset(); }, options);
}

}  // namespace

FlatParameters::FlatParameters(torch::nn::Module& net, Communicator& communicator,
                               std::int64_t bucket_cap_elements) {
  const torch::NoGradGuard no_grad;
  place_parameters(net, communicator, bucket_cap_elements);
  place_statistics(net);
}

void FlatParameters::place_parameters(torch::nn::Module& net, Communicator& communicator,
                                      std::int64_t bucket_cap_elements) {
  const auto named = net.named_parameters();
  RN_CHECK(!named.is_empty(), "a model without parameters");
  const auto options = options_of(named[0].value());
  RN_CHECK(options.dtype() == torch::kFloat32 || options.dtype() == torch::kFloat64, "parameters of type ",
           options.dtype());
  std::vector<ParameterSpec> specs;
  const auto shifts = norm_biases(net);
  for (const auto& item : named) {
    RN_CHECK(options_of(item.value()).dtype() == options.dtype() && item.value().device() == options.device(),
             item.key(), " differs from the first parameter in dtype or device");
    specs.push_back(spec_of(item.key(), item.value(), group_of(item.value(), shifts)));
  }
  layout_ = FlatLayout(std::move(specs), bucket_cap_elements);
  weights = torch::zeros({layout_.size()}, options);
  gradient = allocate_gradient(layout_.size(), options, communicator);

  std::unordered_map<std::string, std::size_t> index;
  for (const FlatEntry& entry : layout_.entries()) {
    auto parameter = named[entry.spec.name];
    auto data = view(weights, entry);
    data.copy_(parameter);
    parameter.set_data(data);
    slices_.push_back(view(gradient, entry));
    parameter.mutable_grad() = slices_.back();  // of a frozen one: stays zero
    index.emplace(entry.spec.name, parameters_.size());
    parameters_.push_back(parameter);
  }
  for (const auto& item : named) model_order_.push_back(index.at(item.key()));
  slots_.resize(parameters_.size());
  for (const auto& item : net.named_modules("", /*include_self=*/false)) {
    auto* const layer = dynamic_cast<SlottedLayer*>(item.value().get());
    if (layer == nullptr || options.dtype() != torch::kFloat32) continue;
    const std::size_t entry = index.at(item.key() + ".weight");
    layer->slot = slots_[entry] = c10::make_intrusive<GradientSlot>(slices_[entry]);
  }
}

void FlatParameters::begin_gradient(const std::optional<PlainStep>& step) {
  for (auto& parameter : parameters_) {
    if (parameter.requires_grad()) parameter.mutable_grad().reset();
  }
  for (const auto& slot : slots_) {
    if (slot) slot->open(step);
  }
}

void FlatParameters::settle(std::size_t entry) {
  auto& grad = parameters_[entry].mutable_grad();
  const auto& slice = slices_[entry];
  if (grad.is_same(slice)) return;
  const torch::NoGradGuard no_grad;
  if (slots_[entry] && slots_[entry]->has_stepped()) {
    RN_CHECK(!grad.defined(), layout_.entries()[entry].spec.name, " has stepped and has a gradient too");
  } else if (!grad.defined()) {
    slice.zero_();
  } else if (grad.data_ptr() != slice.data_ptr() || grad.strides() != slice.strides()) {
    slice.copy_(grad);
  }
  grad = slice;
}

void FlatParameters::settle_gradient() {
  for (std::size_t entry = 0; entry < parameters_.size(); ++entry) settle(entry);
}

std::vector<std::size_t> FlatParameters::stepped() const {
  std::vector<std::size_t> entries;
  for (std::size_t entry = 0; entry < slots_.size(); ++entry) {
    if (slots_[entry] && slots_[entry]->has_stepped()) entries.push_back(entry);
  }
  return entries;
}

void FlatParameters::place_statistics(torch::nn::Module& net) {
  struct Layer {
    std::string name;
    NormLayerImpl* norm;
  };
  std::vector<Layer> layers;
  std::int64_t size = 0;
  for (const auto& item : net.named_modules("", /*include_self=*/false)) {
    auto* norm = item.value()->as<NormLayerImpl>();
    if (norm == nullptr || !norm->has_statistics()) continue;
    layers.push_back({item.key(), norm});
    size += norm->running_mean.numel() + norm->running_var.numel();
  }
  RN_CHECK(net.buffers().size() == 2 * layers.size(), "the model has a buffer that is no NormLayer's");

  const auto options = options_of(weights);
  statistics = torch::zeros({size}, options);
  batch_statistics = torch::zeros({size}, options);
  std::int64_t offset = 0;
  for (const Layer& layer : layers) {
    const std::int64_t channels = layer.norm->running_mean.numel();
    statistic_entries_.push_back({cat(layer.name, ".running_mean"), offset, channels});
    statistic_entries_.push_back({cat(layer.name, ".running_var"), offset + channels, channels});
    layer.norm->place_statistics(statistics.narrow(0, offset, channels),
                                 statistics.narrow(0, offset + channels, channels),
                                 batch_statistics.narrow(0, offset, channels),
                                 batch_statistics.narrow(0, offset + channels, channels));
    offset += 2 * channels;
  }
}

torch::Tensor FlatParameters::make_storage() const { return torch::zeros_like(weights); }

torch::Tensor FlatParameters::make_storage(torch::Dtype dtype) const {
  return torch::zeros({layout_.size()}, weights.options().dtype(dtype));
}

torch::Tensor FlatParameters::view(const torch::Tensor& storage, const FlatEntry& entry) const {
  RN_CHECK(storage.dim() == 1 && storage.numel() == layout_.size() && storage.is_contiguous(),
           "not a storage of this layout: ", storage.sizes());
  return storage.as_strided(entry.spec.shape, entry.spec.strides, storage.storage_offset() + entry.offset);
}

torch::Tensor FlatParameters::view(const torch::Tensor& values, const StatisticEntry& entry) const {
  RN_CHECK(values.dim() == 1 && values.numel() == statistics.numel(),
           "not shaped like the running statistics: ", values.sizes());
  return values.narrow(0, entry.offset, entry.numel);
}

std::span<std::byte> FlatParameters::gradient_bytes() const {
  return {static_cast<std::byte*>(gradient.data_ptr()), static_cast<std::size_t>(gradient.nbytes())};
}

}  // namespace rn::model
