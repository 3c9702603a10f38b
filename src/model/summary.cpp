#include "model/summary.h"

#include <ATen/record_function.h>

#include <memory>
#include <unordered_map>
#include <utility>

#include "core/error.h"

namespace rn::model {
namespace {

// The layer that owns a parameter.
struct Owner {
  std::string name;
  torch::nn::Module* module;
};

// Watches the operators that a forward pass calls. An operator that takes a parameter is its layer's; the
// operators that it calls inside take the same tensor and are told apart by `seen`. So a model needs no code
// of its own for this.
class LayerRecorder {
 public:
  explicit LayerRecorder(Network& net) {
    for (const auto& item : net.named_modules("", /*include_self=*/false)) {
      for (const auto& parameter : item.value()->named_parameters(/*recurse=*/false)) {
        owners_[parameter.value().const_data_ptr()] = {item.key(), item.value().get()};
      }
    }
    active = this;
    handle_ =
        at::addThreadLocalCallback(at::RecordFunctionCallback(&LayerRecorder::start, &LayerRecorder::end)
                                       .needsInputs(true)
                                       .needsOutputs(true)
                                       .scopes({at::RecordScope::FUNCTION}));
  }
  ~LayerRecorder() {
    at::removeCallback(handle_);
    active = nullptr;
  }
  LayerRecorder(const LayerRecorder&) = delete;
  LayerRecorder& operator=(const LayerRecorder&) = delete;

  std::vector<LayerSummary> rows;

 private:
  struct Context : at::ObserverContext {
    explicit Context(std::size_t r) : row(r) {}
    const std::size_t row;
  };

  static std::unique_ptr<at::ObserverContext> start(const at::RecordFunction& function) {
    for (const auto& input : function.inputs()) {
      if (!input.isTensor() || !input.toTensor().defined()) continue;
      const auto found = active->owners_.find(input.toTensor().const_data_ptr());
      if (found == active->owners_.end()) continue;
      return active->open_row(found->second);
    }
    return nullptr;
  }

  static void end(const at::RecordFunction& function, at::ObserverContext* context) {
    if (context == nullptr) return;
    const std::size_t index = static_cast<Context*>(context)->row;
    auto& row = active->rows[index];
    const auto output = function.outputs().at(0).toTensor();
    if (active->owners_.contains(output.const_data_ptr())) {  // a view of the parameter
      active->by_name_.erase(row.name);
      active->rows.erase(active->rows.begin() + static_cast<std::ptrdiff_t>(index));
      return;
    }
    row.output_shape = output.sizes().vec();
    const auto* weight = active->by_name_.at(row.name)->named_parameters(/*recurse=*/false).find("weight");
    if (weight != nullptr && weight->dim() >= 2) {
      row.forward_flops = 2 * output.numel() * (weight->numel() / weight->size(0));
    }
  }

  std::unique_ptr<at::ObserverContext> open_row(const Owner& owner) {
    if (!by_name_.emplace(owner.name, owner.module).second)
      return nullptr;  // an operator inside the layer's own
    LayerSummary row;
    row.name = owner.name;
    for (const auto& parameter : owner.module->parameters(/*recurse=*/false))
      row.parameters += parameter.numel();
    rows.push_back(std::move(row));
    return std::make_unique<Context>(rows.size() - 1);
  }

  static thread_local LayerRecorder* active;                     // callbacks are plain functions
  std::unordered_map<const void*, Owner> owners_;                // by the parameter's memory
  std::unordered_map<std::string, torch::nn::Module*> by_name_;  // layers that have a row
  at::CallbackHandle handle_;
};

thread_local LayerRecorder* LayerRecorder::active = nullptr;

}  // namespace

std::vector<LayerSummary> summarize(Network& net, std::int64_t height, std::int64_t width) {
  // With gradients every layer calls LibTorch's operators, which the recorder sees; without, norms may be own
  // kernels.
  const torch::AutoGradMode with_gradients(true);
  const auto parameters = net.parameters();
  RN_CHECK(!parameters.empty());
  const bool was_training = net.is_training();
  net.eval();
  LayerRecorder recorder(net);
  net.forward(torch::zeros({1, 3, height, width}, parameters.front().options()));
  net.train(was_training);
  return std::move(recorder.rows);
}

}  // namespace rn::model
