// Where a layer's backward pass may leave its weight's gradient, so that no pass over memory zeroes, adds or
// moves it.
//
// Note [Gradients in place]. Autograd adds a gradient to the one that a parameter has, but keeps the first
// one that reaches a parameter without. FlatParameters therefore takes the parameters' gradients away at the
// start of a step and opens the slots: views of the flat gradient. A layer that computes its weight's
// gradient itself computes it into the slot; one that comes from elsewhere is copied there by
// FlatParameters::settle. Further shards of the step are added as usual.
#pragma once

#include <torch/custom_class.h>
#include <torch/torch.h>

#include <utility>

namespace rn::model {

// Not thread-safe: autograd runs a device's backward pass on one thread.
class GradientSlot final : public torch::CustomClassHolder {
 public:
  explicit GradientSlot(torch::Tensor slice) : slice_(std::move(slice)) {}

  void open() { is_open_ = true; }

  // The slice, to the first who asks after open(): a weight that is used twice in a step has two gradients.
  // Otherwise undefined.
  torch::Tensor take() {
    if (!std::exchange(is_open_, false)) return {};
    return slice_.alias();  // of its own, or autograd would not keep it but copy it
  }

 private:
  const torch::Tensor slice_;
  bool is_open_ = false;
};

using GradientSlotPtr = c10::intrusive_ptr<GradientSlot>;

// Memory for the gradient of `weight`, with its shape and strides, in float32: the slot's, or new.
inline torch::Tensor gradient_memory(const GradientSlotPtr& slot, const torch::Tensor& weight) {
  auto memory = slot ? slot->take() : torch::Tensor();
  return memory.defined() ? memory : torch::empty_like(weight, torch::kFloat32);
}

// A slot as autograd functions carry it to their backward pass.
inline void save_slot(torch::autograd::AutogradContext& context, const GradientSlotPtr& slot) {
  if (slot) context.saved_data["slot"] = c10::IValue::make_capsule(slot);
}
inline GradientSlotPtr saved_slot(const torch::autograd::AutogradContext& context) {
  const auto found = context.saved_data.find("slot");
  if (found == context.saved_data.end()) return {};
  return c10::static_intrusive_pointer_cast<GradientSlot>(found->second.toCapsule());
}

// A layer with a parameter `weight` whose gradient it computes into the slot.
class SlottedLayer {
 public:
  virtual ~SlottedLayer() = default;
  GradientSlotPtr slot;  // set by FlatParameters; null: none
};

}  // namespace rn::model
