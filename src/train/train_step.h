// One optimisation step: this rank's shards forward and backward, the gradient summed over the ranks, the
// update.
//
// The loss of a shard is its sum over the *global* sample count, and reductions are sums, so uneven last
// batches, accumulation and ranks without samples need no special case: the gradient is that of the global
// batch.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/communicator.h"
#include "dist/gradient_reducer.h"
#include "model/factory.h"
#include "model/flat_parameters.h"
#include "report/trace.h"
#include "train/batch.h"
#include "train/optimizer.h"
#include "train/options.h"
#include "train/precision.h"
#include "train/shard_sum.h"
#include "train/vote.h"

namespace rn::train {

// Where gradients travel and how, from `dist:` and `model:`.
struct StepOptions {
  int accumulate = 1;
  double label_smoothing = 0;
  double clip_norm = 0;            // 0: none
  DType wire = DType::kF32;        // of the gradient's all-reduce
  bool strict = false;             // shards are summed in a fixed tree, see shard_sum.h
  bool empty_shards_run = false;   // sync_batch: a rank without samples takes part in the norm's collectives
  report::Trace* trace = nullptr;  // borrowed; null: nothing is recorded
  std::function<void(int micro_step)> before_shard;  // called before each of this rank's shards; may be empty
};

class TrainStep {
 public:
  // Borrows everything.
  TrainStep(model::Network& net, model::FlatParameters& params, Communicator& communicator, Sgd& optimizer,
            LossScaler& scaler, Precision precision, const StepOptions& options);
  ~TrainStep();

  // Collective. Takes this rank's shards from `batches`; `global_count`: samples of the step over all ranks.
  // Returns what this rank brings to the vote, without waiting for the device.
  Ballot run(BatchSource& batches, std::int64_t global_count, const Rate& lr);

  // run() up to the update: the gradient of the global batch is in params.gradient afterwards.
  Ballot accumulate_gradient(BatchSource& batches, std::int64_t global_count);

  // Host time that the last step waited for the sums over the ranks.
  double comm_wait_seconds() const { return options_.strict ? tree_seconds_ : reducer_.wait_seconds(); }
  const dist::GradientReducer& reducer() const { return reducer_; }

 private:
  Ballot accumulate_in_tree(BatchSource& batches, std::int64_t global_count);
  void forward_backward(const Batch& batch, std::int64_t global_count, Ballot& ballot);
  void start_statistics();
  void trace_collectives();
  torch::Tensor apply_statistics(std::int64_t global_count, const torch::Tensor& found_inf);

  model::Network& net_;
  model::FlatParameters& params_;
  Communicator& communicator_;
  Sgd& optimizer_;
  LossScaler& scaler_;
  const Precision precision_;
  const StepOptions options_;
  dist::GradientReducer reducer_;
  std::shared_ptr<Buffer> statistics_memory_;
  torch::Tensor statistics_sum_;  // [statistics], in the communicator's memory; see Note [Running statistics]
  Work statistics_work_;
  std::optional<TimeSpan> statistics_ran_;
  bool statistics_started_ = false;
  torch::Tensor shard_loss_;       // [1] float64, strict only
  double tree_seconds_ = 0;        // of the sum over the ranks in the last step
  std::vector<ShardSum> in_tree_;  // strict: gradient, statistics, loss
  bool last_shard_ = false;        // hooks report ready gradients in the last shard of a step only
};

// Sum over the batch of cross entropy with label smoothing (torch.nn.functional.cross_entropy's formula,
// reduction sum): logits [N, K], labels [N] int64 -> scalar.
torch::Tensor cross_entropy_sum(const torch::Tensor& logits, const torch::Tensor& labels,
                                double label_smoothing);

}  // namespace rn::train
