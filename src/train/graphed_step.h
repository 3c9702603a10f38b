// A training step that a GPU's host launches as one graph: `train.cuda_graph: true`.
//
// Full batches only: sizes and the count that losses are divided by are part of the graph. What changes from
// step to step lies at fixed places on the device: the batch, which is copied there before the launch, and
// the learning rate. Collectives are inside, on the communicator's own stream. The vote is not: it brings
// what only the host knows, and is started behind the graph.
//
// The first full batch takes an eager step, in which libraries make their plans and workspaces, and which the
// graph's has the sizes of. Uneven last batches and traced steps are eager too, with the same rate from the
// device, so that every step has the bits of an eager one.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>

#include "core/communicator.h"
#include "model/device_graph.h"
#include "train/batch.h"
#include "train/train_step.h"

namespace rn::train {

class GraphedStep {
 public:
  // Borrows step and communicator. `graph`: of the step's device, nothing recorded yet; `full_count`: samples
  // of a full step over all ranks. REQUIRES of the step: one shard per rank, not strict, no collectives in
  // forward (sync_batch), no dropout, whose key is the host's.
  GraphedStep(TrainStep& step, Communicator& communicator, torch::Device device, std::int64_t full_count,
              std::unique_ptr<model::DeviceGraph> graph);

  // TrainStep::run, with the same collectives on all ranks. The ballot's tensors are overwritten by the next
  // step. Throws EnvironmentError where the step cannot be recorded.
  Ballot run(BatchSource& batches, std::int64_t global_count, double lr, bool eager = false);

  // Whether the last step was a graph's launch: the host has waited for no collective then.
  bool launched() const { return launched_; }

 private:
  void capture();

  TrainStep& step_;
  Communicator& communicator_;
  const std::int64_t full_count_;
  const std::unique_ptr<model::DeviceGraph> graph_;
  const torch::Tensor lr_;  // float32 scalar on the device
  Batch full_;              // where the graph reads its batch; undefined before the first full one
  Ballot ballot_;           // what the graph writes
  bool captured_ = false, launched_ = false;
};

}  // namespace rn::train
