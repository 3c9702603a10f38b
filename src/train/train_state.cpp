#include "train/train_state.h"

#include "core/error.h"

namespace rn::train {
namespace {

// Every tensor goes by the communicator that reaches its memory, every value by the host's.
class BroadcastVisitor : public StateVisitor {
 public:
  BroadcastVisitor(Communicator& communicator, int root) : communicator_(communicator), root_(root) {}

  void storage(const std::string&, const std::string&, torch::Tensor& values) override { send(values); }
  void statistics(const std::string&, const std::string&, torch::Tensor& values) override { send(values); }
  void tensor(const std::string&, const std::string&, torch::Tensor& value) override { send(value); }
  void value(const std::string&, std::int64_t& value) override { send_host(value); }
  void value(const std::string&, double& value) override { send_host(value); }

 private:
  void send(torch::Tensor& values) {
    if (values.numel() == 0) return;
    RN_CHECK(values.is_contiguous());
    const auto bytes = static_cast<std::size_t>(values.numel()) * values.element_size();
    communicator_.broadcast({static_cast<std::byte*>(values.data_ptr()), bytes}, root_).wait();
  }
  template <typename T>
  void send_host(T& value) {
    communicator_.host().broadcast(std::as_writable_bytes(std::span(&value, 1)), root_).wait();
  }

  Communicator& communicator_;
  const int root_;
};

}  // namespace

TrainState::TrainState(model::FlatParameters& p, Sgd& o, LossScaler& s, const EmaOptions& ema_options,
                       const SwaOptions& swa_options)
    : RunState(p), optimizer(o), scaler(s) {
  if (ema_options.enabled) ema.emplace(ema_options, params);
  if (swa_options.enabled) swa.emplace(params);
}

void TrainState::walk(StateVisitor& visitor) {
  visitor.storage("model", "", params.weights);
  visitor.statistics("model", "", params.statistics);
  visitor.storage("optimizer", "momentum.", optimizer.momentum);
  if (scaler.enabled()) {
    visitor.tensor("optimizer", "loss_scale", scaler.scale);
    visitor.tensor("optimizer", "loss_scale_growth", scaler.growth_tracker);
  }
  if (ema) {
    visitor.storage("ema", "", ema->weights);
    visitor.statistics("ema", "", ema->statistics);
    visitor.value("ema.updates", ema->updates);
  }
  if (swa) {
    visitor.storage("swa", "", swa->weights);
    visitor.statistics("swa", "", swa->statistics);
    visitor.value("swa.snapshots", swa->snapshots);
  }
  visitor.value("step", progress.step);
  visitor.value("epoch_loss_sum", progress.epoch_loss_sum);
  visitor.value("epoch_correct", progress.epoch_correct);
  visitor.value("epoch_count", progress.epoch_count);
  visitor.seconds("epoch_seconds", progress.epoch_seconds);
  visitor.value("best_metric", progress.best_metric);
  visitor.value("best_step", progress.best_step);
  visitor.seconds("seconds", progress.seconds);
  visitor.value("skipped_steps", progress.skipped_steps);
}

void broadcast_state(RunState& state, Communicator& communicator, int root) {
  BroadcastVisitor visitor(communicator, root);
  state.walk(visitor);
}

}  // namespace rn::train
