// Where a layer's backward pass may leave its weight's gradient, so that no pass over memory zeroes, adds or
// moves it.
//
// Note [Gradients in place]. Autograd adds a gradient to the one that a parameter has, but keeps the first
// one that reaches a parameter without. FlatParameters therefore takes the parameters' gradients away at the
// start of a step and opens the slots: views of the flat gradient. A layer that computes its weight's
// gradient itself computes it into the slot; one that comes from elsewhere is copied there by
// FlatParameters::settle. Further shards of the step are added as usual.
//
// Note [Steps in the backward pass]. Plain SGD needs a gradient once, so where nothing else is done with it
// (no further shard, reduction, clipping, correction or momentum) a layer with a large weight takes the step
// as it computes the gradient, which then never lies in memory: three passes over memory less. The step is
// given to FlatParameters::begin_gradient; a layer that can takes it instead of the memory; and
// FlatParameters::stepped names these weights to the optimizer, which leaves them out.
#pragma once

#include <torch/custom_class.h>
#include <torch/torch.h>

#include <optional>
#include <utility>

namespace rn::model {

// weight -= lr * (gradient + weight_decay * weight)
struct PlainStep {
  double lr;
  double weight_decay;
};

// Not thread-safe: autograd runs a device's backward pass on one thread.
class GradientSlot final : public torch::CustomClassHolder {
 public:
  explicit GradientSlot(torch::Tensor slice) : slice_(std::move(slice)) {}

  // Of a new step of the optimizer, which the layer may take itself if one is given.
  void open(const std::optional<PlainStep>& step = {}) {
    is_open_ = true;
    step_ = step;
    has_stepped_ = false;
  }

  // The slice, to the first who asks after open(): a weight that is used twice in a step has two gradients.
  // Otherwise undefined.
  torch::Tensor take() {
    if (!std::exchange(is_open_, false)) return {};
    return slice_.alias();  // of its own, or autograd would not keep it but copy it
  }

  // The step, to the first who asks after open() if one was given: whoever asks takes it, on the weight
  // itself.
  std::optional<PlainStep> take_step() {
    if (!step_ || !std::exchange(is_open_, false)) return {};
    has_stepped_ = true;
    return step_;
  }
  bool has_stepped() const { return has_stepped_; }

 private:
  const torch::Tensor slice_;
  bool is_open_ = false;
  bool has_stepped_ = false;
  std::optional<PlainStep> step_;
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
