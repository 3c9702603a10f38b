// `train:`, `optimizer:`, `schedule:`, `ema:`, `swa:`, `eval:` and `checkpoint:` of the configuration.
#pragma once

#include <cstdint>
#include <string>

namespace rn::train {

enum class PrecisionChoice { kAuto, kFP32, kBF16, kFP16 };

struct TrainOptions {
  double epochs = 12;               // training ends at the smaller of epochs and max_steps
  std::int64_t max_steps = 0;       // 0: no limit
  std::int64_t global_batch = 0;    // images per optimizer step over all ranks and accumulation; 0: 128
  std::int64_t batch_per_rank = 0;  // instead of global_batch, never both
  PrecisionChoice precision = PrecisionChoice::kAuto;
  int accumulate_steps = 1;
  double label_smoothing = 0.0;
  double clip_norm = 0.0;                   // 0: no clipping
  int shards = 4;                           // run.deterministic: strict: of a step's batch
  int threads = 0;                          // per rank; 0: the node's cores divided among its ranks
  bool cuda_graph = false;                  // on a GPU: full steps as one graph, see graphed_step.h
  bool drop_last = false;                   // leave out the smaller last batch of an epoch
  std::int64_t replica_check_steps = 1000;  // steps between two replica checks; 0: before checkpoints only
};

struct OptimizerOptions {
  std::string name = "sgd";
  double lr = 0.1;
  double momentum = 0.9;
  bool nesterov = true;
  double weight_decay = 5e-4;
  bool decay_norm_and_bias = true;  // false: norms and biases are not decayed
  double norm_bias_lr = 1;          // norm biases learn at that many times the rate
};

struct ScheduleOptions {
  std::string name = "cosine";  // constant | cosine | one_cycle
  double warmup_epochs = 0;     // constant, cosine: linear from warmup_start * lr
  double warmup_start = 0.0;
  double min_lr = 0.0;     // cosine: where it ends
  double pct_start = 0.3;  // one_cycle, as torch's OneCycleLR
  double div_factor = 25;
  double final_div_factor = 1e4;
  std::string anneal = "cos";  // one_cycle: cos | linear
};

struct EmaOptions {
  bool enabled = false;
  double decay = 0.999;  // per update
  std::int64_t every_steps = 1;
};

struct SwaOptions {
  bool enabled = false;
  double start = 0.75;             // below 1: fraction of the run; from 1: epoch
  double lr = 0.05;                // constant rate; the cycle's top where cycle_epochs > 0
  double min_lr = 0.0;             // cyclic: the cycle's bottom
  double anneal_epochs = 1;        // from the schedule's rate to lr
  double cycle_epochs = 0;         // 0: constant rate (Izmailov et al. 2018, section 3.2)
  double interval_epochs = 1;      // between two snapshots
  std::int64_t bn_images = 10000;  // training images that re-estimate the norm statistics; 0: all
};

struct EvalOptions {
  double every_epochs = 1;   // 0: at the end only
  std::int64_t batch = 500;  // images per evaluation batch, one fixed shape
  std::string on = "all";    // all | rank0
};

struct CheckpointOptions {
  std::int64_t every_steps = 0;       // 0: by epochs only
  double every_epochs = 1;            // 0: at the end only
  int keep = 2;                       // latest checkpoints kept, besides best
  std::string monitor = "val.top1";   // test.top1 where there is no validation split
  std::string on_error = "continue";  // continue | stop: after one that could not be written
};

}  // namespace rn::train
