#include "train/checkpoint.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/tensor_hash.h"
#include "io/atomic_file.h"
#include "model/safetensors_weights.h"
#include "model/tensor_dtype.h"
#include "train/storage_hash.h"

namespace rn::train {
namespace {

using model::dtype_of;

// A contiguous host copy of `tensor`, kept in `kept` and described in `file`.
void add_copy(const torch::Tensor& tensor, const std::string& name, std::vector<torch::Tensor>& kept,
              io::CheckpointFile& file) {
  // One pass, whatever the strides are: training waits for it.
  kept.push_back(torch::empty(tensor.sizes(), tensor.options().device(torch::kCPU)));
  auto& copy = kept.back();
  const torch::NoGradGuard no_grad;
  copy.copy_(tensor);
  file.tensors.push_back({name,
                          dtype_of(copy),
                          copy.sizes().vec(),
                          {static_cast<const std::byte*>(copy.const_data_ptr()), copy.nbytes()}});
}

// Writing: one safetensors file per `file` name, tensors in layout order.
class SnapshotVisitor : public StateVisitor {
 public:
  SnapshotVisitor(model::FlatParameters& params, StateSnapshot& out) : params_(params), out_(out) {}

  void storage(const std::string& file, const std::string& prefix, torch::Tensor& values) override {
    const auto hashes = entry_hashes(params_.layout(), values);
    const auto& entries = params_.layout().entries();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const torch::Tensor view = params_.view(values, entries[i]);
      const auto first_byte = entries[i].offset * static_cast<std::int64_t>(values.element_size());
      const bool reordered = !view.is_contiguous();
      RN_CHECK(!reordered || view.is_contiguous(torch::MemoryFormat::ChannelsLast), entries[i].spec.name);
      add(file, prefix + entries[i].spec.name, view,
          {hashes[i], static_cast<std::uint64_t>(first_byte) / sizeof(std::uint64_t), reordered});
    }
  }
  void statistics(const std::string& file, const std::string& prefix, torch::Tensor& values) override {
    for (const auto& entry : params_.statistic_entries()) {
      tensor(file, prefix + entry.name, values.narrow(0, entry.offset, entry.numel));
    }
  }
  void tensor(const std::string& file, const std::string& name, torch::Tensor& value) override {
    tensor(file, name, std::as_const(value));
  }
  void value(const std::string& name, std::int64_t& value) override { out_.values[name] = value; }
  void value(const std::string& name, double& value) override {
    RN_CHECK(std::isfinite(value), name, " is not finite");  // JSON has no such number
    out_.values[name] = value;
  }

 private:
  void tensor(const std::string& file, const std::string& name, const torch::Tensor& value) {
    const torch::Tensor host = value.detach().to(torch::kCPU).contiguous();  // as a rule where it lies
    add(file, name, value,
        {tensor_hash({static_cast<const std::byte*>(host.const_data_ptr()), host.nbytes()}), 0, false});
  }
  void add(const std::string& file, const std::string& name, const torch::Tensor& values,
           const io::SourceHash& source) {
    io::CheckpointFile& target = open(file);
    add_copy(values, name, out_.tensors, target);
    target.sources[name] = source;
  }
  io::CheckpointFile& open(const std::string& file) {
    const std::string name = file + ".safetensors";
    for (auto& known : out_.files) {
      if (known.name == name) return known;
    }
    out_.files.push_back({name, {}, {}});
    return out_.files.back();
  }

  model::FlatParameters& params_;
  StateSnapshot& out_;
};

// Reading: every tensor of the state must be there, with its shape and type.
class RestoreVisitor : public StateVisitor {
 public:
  RestoreVisitor(model::FlatParameters& params, const io::LoadedCheckpoint& checkpoint)
      : params_(params), checkpoint_(checkpoint) {}

  void storage(const std::string& file, const std::string& prefix, torch::Tensor& values) override {
    for (const FlatEntry& entry : params_.layout().entries()) {
      fill(file, prefix + entry.spec.name, params_.view(values, entry));
    }
  }
  void statistics(const std::string& file, const std::string& prefix, torch::Tensor& values) override {
    for (const auto& entry : params_.statistic_entries()) {
      fill(file, prefix + entry.name, values.narrow(0, entry.offset, entry.numel));
    }
  }
  void tensor(const std::string& file, const std::string& name, torch::Tensor& value) override {
    fill(file, name, value);
  }
  void value(const std::string& name, std::int64_t& value) override {
    const nlohmann::json& found = number(name);
    if (!found.is_number_integer()) fail(cat("the value '", name, "' is not a whole number"));
    value = found.get<std::int64_t>();
  }
  void value(const std::string& name, double& value) override { value = number(name).get<double>(); }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(cat("checkpoint ", checkpoint_.path, ": ", what,
                        ". It belongs to another model or configuration, or was changed."));
  }

  const nlohmann::json& number(const std::string& name) const {
    const auto found = checkpoint_.values.find(name);
    if (found == checkpoint_.values.end() || !found->is_number())
      fail(cat("the value '", name, "' is missing"));
    return *found;
  }

  void fill(const std::string& file, const std::string& name, torch::Tensor target) const {
    const auto* tensors = checkpoint_.file(file + ".safetensors");
    if (tensors == nullptr) fail(cat("the file ", file, ".safetensors is missing"));
    const io::TensorView* source = tensors->find(name);
    if (source == nullptr) fail(cat(file, ".safetensors has no tensor '", name, "'"));
    if (source->shape != target.sizes().vec()) {
      fail(cat(file, ".safetensors: '", name, "' has the shape ", at::IntArrayRef(source->shape),
               ", the run's is ", target.sizes()));
    }
    if (source->dtype != dtype_of(target)) {
      fail(cat(file, ".safetensors: '", name, "' is ", name_of(source->dtype), ", the run's is ",
               name_of(dtype_of(target))));
    }
    auto host = torch::empty(target.sizes(), target.options().device(torch::kCPU));
    RN_CHECK(host.nbytes() == source->bytes.size());
    if (!source->bytes.empty()) std::memcpy(host.data_ptr(), source->bytes.data(), source->bytes.size());
    const torch::NoGradGuard no_grad;
    target.copy_(host);
  }

  model::FlatParameters& params_;
  const io::LoadedCheckpoint& checkpoint_;
};

}  // namespace

StateSnapshot take_snapshot(RunState& state) {
  StateSnapshot snapshot;
  snapshot.values = nlohmann::json::object();
  SnapshotVisitor visitor(state.params, snapshot);
  state.walk(visitor);
  return snapshot;
}

void restore(RunState& state, const io::LoadedCheckpoint& checkpoint) {
  RestoreVisitor visitor(state.params, checkpoint);
  state.walk(visitor);
}

void write_weights(io::FileSystem& files, const std::string& path, const model::FlatParameters& params,
                   const torch::Tensor& weights, const torch::Tensor& statistics, std::int64_t steps) {
  const auto tensors = model::collect_weights(params, weights, statistics, steps);
  io::write_file_atomically(files, path, [&](io::WritableFile& file) {
    io::write_safetensors(file, model::tensor_views(tensors), {{"format", "pt"}});
  });
}

}  // namespace rn::train
