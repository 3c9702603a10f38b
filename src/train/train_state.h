// TrainState: the one list of all that a run is.
//
// One walk lists every storage and value; broadcast, checkpoint, replica hash and resume are visitors of it,
// and nothing else knows what is state. What is not in the walk is a pure function of it and the
// configuration (order, augmentation, learning rate), so a resumed run continues with the same bits.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/communicator.h"
#include "model/flat_parameters.h"
#include "train/averaging.h"
#include "train/optimizer.h"
#include "train/precision.h"

namespace rn::train {

// Where the run stands, and what an epoch's record needs when the run was cut inside it.
struct Progress {
  std::int64_t step = 0;      // optimizer steps done
  double epoch_loss_sum = 0;  // over the samples of the current epoch so far
  std::int64_t epoch_correct = 0;
  std::int64_t epoch_count = 0;
  double epoch_seconds = 0;
  double best_metric = -1;         // of checkpoint.monitor, in percent or as a loss
  std::int64_t best_step = -1;     // below 0: none yet
  double seconds = 0;              // of training, over all parts of the run
  std::int64_t skipped_steps = 0;  // fp16: steps without an update
};

class StateVisitor {
 public:
  virtual ~StateVisitor() = default;
  // A storage of the flat layout. `file`: its place in a checkpoint; `prefix` goes before the parameters'
  // names.
  virtual void storage(const std::string& file, const std::string& prefix, torch::Tensor& values) = 0;
  // A tensor shaped like FlatParameters::statistics.
  virtual void statistics(const std::string& file, const std::string& prefix, torch::Tensor& values) = 0;
  // A small tensor, e.g. the loss scale.
  virtual void tensor(const std::string& file, const std::string& name, torch::Tensor& value) = 0;
  virtual void value(const std::string& name, std::int64_t& value) = 0;
  virtual void value(const std::string& name, double& value) = 0;
  // A value that each rank measures by its own clock: the one thing in which replicas may differ.
  virtual void seconds(const std::string& name, double& measured) { value(name, measured); }
};

// The part of a run's progress that its checkpoints are named and judged by.
struct Standing {
  std::int64_t& step;  // optimizer steps, or rounds, done
  double& best_metric;
  std::int64_t& best_step;  // below 0: none yet
};

// Anything whose state one walk lists: a training, or a federated run.
class RunState {
 public:
  // Borrows the parameters, whose layout all its storages share.
  explicit RunState(model::FlatParameters& parameters) : params(parameters) {}
  virtual ~RunState() = default;

  virtual void walk(StateVisitor& visitor) = 0;
  virtual Standing standing() = 0;

  model::FlatParameters& params;
};

class TrainState : public RunState {
 public:
  // Borrows params, optimizer and scaler; makes the averages that the options ask for.
  TrainState(model::FlatParameters& params, Sgd& optimizer, LossScaler& scaler, const EmaOptions& ema,
             const SwaOptions& swa);

  void walk(StateVisitor& visitor) override;
  Standing standing() override { return {progress.step, progress.best_metric, progress.best_step}; }

  Sgd& optimizer;
  LossScaler& scaler;
  std::optional<Ema> ema;
  std::optional<Swa> swa;
  Progress progress;
};

// Collective. Every rank's state becomes that of `root`.
void broadcast_state(RunState& state, Communicator& communicator, int root);

}  // namespace rn::train
