// What goes into the ReLUs of a network, whatever the network is.
#pragma once

#include <ATen/record_function.h>
#include <torch/torch.h>

#include <memory>
#include <string_view>
#include <vector>

namespace rn::train::testing {

// While it lives, keeps a float64 copy of the input of every ReLU that its thread calls, in the order of the
// calls: autograd's dispatcher reports them. One at a time per thread.
class ReluInputs {
 public:
  ReluInputs()
      : callback_(at::addThreadLocalCallback(
            at::RecordFunctionCallback(&record).needsInputs(true).scopes({at::RecordScope::FUNCTION}))) {
    current_ = this;
  }
  ReluInputs(const ReluInputs&) = delete;
  ReluInputs& operator=(const ReluInputs&) = delete;
  ~ReluInputs() {
    current_ = nullptr;
    at::removeCallback(callback_);
  }

  const std::vector<torch::Tensor>& tensors() const { return inputs_; }

 private:
  static std::unique_ptr<at::ObserverContext> record(const at::RecordFunction& function) {
    const std::string_view name = function.name();
    if (current_ == nullptr || (name != "aten::relu_" && name != "aten::relu")) return nullptr;
    const torch::NoGradGuard no_grad;
    current_->inputs_.push_back(function.inputs()[0].toTensor().to(torch::kFloat64, false, /*copy=*/true));
    return nullptr;
  }

  inline static thread_local ReluInputs* current_ = nullptr;
  const at::CallbackHandle callback_;
  std::vector<torch::Tensor> inputs_;
};

}  // namespace rn::train::testing
