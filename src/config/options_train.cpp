// The option table: train, optimizer, schedule, ema, swa, eval, checkpoint.
#include "config/option_builder.h"

namespace rn::config::detail {

void add_train_options(std::vector<Option>& table) {
  using train::PrecisionChoice;
  using train::TrainOptions;
  SectionBuilder train(table, "train", &RunConfig::train, false);
  train.number(
      "epochs", &TrainOptions::epochs,
      "Passes over the training images, fractions allowed; training ends at the smaller of epochs and "
      "max_steps.",
      positive(kMostEpochs));
  train.integer("max_steps", &TrainOptions::max_steps, "Most optimizer steps; 0: no limit.",
                between(0, kMostSteps));
  train
      .integer(
          "global_batch", &TrainOptions::global_batch,
          "Images of one optimizer step over all ranks and accumulation; 0: 128, unless batch_per_rank is "
          "given.",
          between(0, kMostImages))
      .identity = true;
  train
      .integer(
          "batch_per_rank", &TrainOptions::batch_per_rank,
          "Instead of global_batch: images of one optimizer step on each rank, over its accumulation; 0: not "
          "used.",
          between(0, kMostImages))
      .identity = true;
  train
      .choice(
          "precision", &TrainOptions::precision,
          "Arithmetic of the forward and backward pass; auto: bf16 where the device computes in it, fp16 on "
          "older GPUs, else fp32.",
          {{"auto", PrecisionChoice::kAuto},
           {"fp32", PrecisionChoice::kFP32},
           {"bf16", PrecisionChoice::kBF16},
           {"fp16", PrecisionChoice::kFP16}})
      .identity = true;
  train.integer("accumulate_steps", &TrainOptions::accumulate_steps,
                "Parts that each rank cuts its batch into, run one after another: less memory, same step.",
                between(1, 65536));
  train
      .number("label_smoothing", &TrainOptions::label_smoothing,
              "Share of the target spread evenly over all classes.",
              {.min = 0, .max = 1, .max_excluded = true})
      .identity = true;
  train
      .number("clip_norm", &TrainOptions::clip_norm, "Largest norm of the whole gradient; 0: no clipping.",
              at_least(0))
      .identity = true;
  train.integer("shards", &TrainOptions::shards,
                "run.deterministic: strict: parts of a step's batch, a power of two; each is computed alone.",
                between(1, 4096));
  train.integer(
      "threads", &TrainOptions::threads,
      "Threads per rank; 0: the node's cores divided among its ranks, with run.deterministic: strict "
      "one.",
      between(0, 4096));
  train
      .flag("cuda_graph", &TrainOptions::cuda_graph,
            "On a GPU: launch every full step as one CUDA graph. Not yet run on a GPU (docs/gpu.md).")
      .identity = true;  // its rate is a float32 number
  train.flag("drop_last", &TrainOptions::drop_last, "Leave out the smaller last batch of an epoch.")
      .identity = true;
  train.integer("replica_check_steps", &TrainOptions::replica_check_steps,
                "Steps between two proofs that all ranks hold the same weights, momentum, averages and "
                "statistics, besides the one before every checkpoint; 0: that one only.",
                between(0, kMostSteps));

  // Under train, since it is a way to compute, not a property of the model.
  using model::KernelChoice;
  using model::ModelOptions;
  SectionBuilder model(table, "train", &RunConfig::model, false);
  model.choice("kernels", &ModelOptions::kernels,
               "auto: rn_dist's own kernels where the CPU has AVX-512 with bf16, and AMX; torch: LibTorch's "
               "operators.",
               {{"auto", KernelChoice::kAuto}, {"torch", KernelChoice::kTorch}});

  using train::OptimizerOptions;
  SectionBuilder optimizer(table, "optimizer", &RunConfig::optimizer, true);
  optimizer.one_of("name", &OptimizerOptions::name, "The optimizer, as in torch.optim.", {"sgd"});
  optimizer.number("lr", &OptimizerOptions::lr, "Learning rate, the highest of the schedule.", at_least(0));
  optimizer.number("momentum", &OptimizerOptions::momentum, "Momentum.",
                   {.min = 0, .max = 1, .max_excluded = true});
  optimizer.flag("nesterov", &OptimizerOptions::nesterov, "Nesterov momentum.");
  optimizer.number("weight_decay", &OptimizerOptions::weight_decay, "L2 penalty on the weights.",
                   at_least(0));
  optimizer.flag("decay_norm_and_bias", &OptimizerOptions::decay_norm_and_bias,
                 "Apply weight_decay to norms and biases too.");
  optimizer.number(
      "norm_bias_lr", &OptimizerOptions::norm_bias_lr,
      "Norm biases learn at that many times the rate; their weight_decay is divided by it (64 in "
      "Page 2019, Jordan 2024).",
      {.min = 0, .max = 1e6, .min_excluded = true});

  using train::ScheduleOptions;
  SectionBuilder schedule(table, "schedule", &RunConfig::schedule, true);
  schedule.one_of("name", &ScheduleOptions::name, "The schedule, as in torch.optim.lr_scheduler.",
                  {"constant", "cosine", "one_cycle"});
  schedule.number("warmup_epochs", &ScheduleOptions::warmup_epochs,
                  "constant, cosine: epochs of linear rise to optimizer.lr.", between(0, kMostEpochs));
  schedule.number("warmup_start", &ScheduleOptions::warmup_start,
                  "constant, cosine: where the rise starts, as a share of optimizer.lr.", between(0, 1));
  schedule.number("min_lr", &ScheduleOptions::min_lr, "cosine: the rate at the end.", at_least(0));
  schedule.number("pct_start", &ScheduleOptions::pct_start,
                  "one_cycle: share of the run in which the rate rises.",
                  {.min = 0, .max = 1, .min_excluded = true, .max_excluded = true});
  schedule.number("div_factor", &ScheduleOptions::div_factor, "one_cycle: the first rate is lr / div_factor.",
                  at_least(1));
  schedule.number("final_div_factor", &ScheduleOptions::final_div_factor,
                  "one_cycle: the last rate is lr / div_factor / final_div_factor.", at_least(1));
  schedule.one_of("anneal", &ScheduleOptions::anneal, "one_cycle: shape of rise and fall.",
                  {"cos", "linear"});
}

void add_averaging_options(std::vector<Option>& table) {
  using train::EmaOptions;
  SectionBuilder ema(table, "ema", &RunConfig::ema, true);
  ema.flag("enabled", &EmaOptions::enabled, "Keep an exponential moving average of the weights.");
  ema.number("decay", &EmaOptions::decay, "Share of the average that each update keeps.",
             {.min = 0, .max = 1, .max_excluded = true});
  ema.integer("every_steps", &EmaOptions::every_steps, "Steps between two updates.", at_least(1));

  using train::SwaOptions;
  SectionBuilder swa(table, "swa", &RunConfig::swa, true);
  swa.flag("enabled", &SwaOptions::enabled, "Average the weights along the end of the run.");
  swa.number("start", &SwaOptions::start,
             "Where averaging starts: below 1 a share of the run, from 1 an epoch.", positive(kMostEpochs));
  swa.number("lr", &SwaOptions::lr, "Learning rate while averaging; the cycle's top with cycle_epochs.",
             at_least(0));
  swa.number("min_lr", &SwaOptions::min_lr, "The cycle's bottom with cycle_epochs.", at_least(0));
  swa.number("anneal_epochs", &SwaOptions::anneal_epochs, "Epochs from the schedule's rate to swa.lr.",
             between(0, kMostEpochs));
  swa.number("cycle_epochs", &SwaOptions::cycle_epochs, "Length of a cycle of the rate; 0: constant.",
             between(0, kMostEpochs));
  swa.number("interval_epochs", &SwaOptions::interval_epochs,
             "Epochs between two snapshots; with cycle_epochs one is taken at each cycle's end.",
             positive(kMostEpochs));
  swa.integer("bn_images", &SwaOptions::bn_images,
              "Training images that re-estimate the norm statistics of the average; 0: all.", at_least(0));
}

void add_observer_options(std::vector<Option>& table) {
  using train::EvalOptions;
  SectionBuilder eval(table, "eval", &RunConfig::eval, false);
  eval.number("every_epochs", &EvalOptions::every_epochs,
              "Epochs between two evaluations; 0: at the end only.", between(0, kMostEpochs));
  eval.integer(
      "batch", &EvalOptions::batch,
      "Images per evaluation batch on each rank; on a CPU at most 100, since more are not faster there.",
      between(1, 1e6));
  eval.one_of("on", &EvalOptions::on, "Which ranks evaluate.", {"all", "rank0"});

  using train::CheckpointOptions;
  SectionBuilder checkpoint(table, "checkpoint", &RunConfig::checkpoint, false);
  checkpoint.integer("every_steps", &CheckpointOptions::every_steps,
                     "Steps between two checkpoints, besides those by epochs; 0: by epochs only.",
                     at_least(0));
  checkpoint.number("every_epochs", &CheckpointOptions::every_epochs,
                    "Epochs between two checkpoints; 0: at the end only.", between(0, kMostEpochs));
  checkpoint.integer("keep", &CheckpointOptions::keep, "Latest checkpoints kept, besides the best one.",
                     between(1, 1e6));
  checkpoint.one_of(
      "monitor", &CheckpointOptions::monitor,
      "What the best checkpoint is best in; test.* stands in for val.* where data.validation is 0.",
      {"val.top1", "val.top5", "val.loss", "test.top1", "test.top5", "test.loss"});
  checkpoint.one_of("on_error", &CheckpointOptions::on_error,
                    "After a checkpoint that could not be written (full disk, ...): continue reports it and "
                    "trains on, stop ends the run with exit code 1. The last one of a run must succeed.",
                    {"continue", "stop"});
}

}  // namespace rn::config::detail
