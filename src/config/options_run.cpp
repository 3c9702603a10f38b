// The option table: run, model, data, augment, dist, report.
#include "config/option_builder.h"

namespace rn::config::detail {

void add_run_options(std::vector<Option>& table) {
  SectionBuilder run(table, "run", &RunConfig::run, false);
  run.text("name", &RunOptions::name, "Name of the run, and of its folder under runs/.");
  run.text("dir", &RunOptions::dir, "The run folder itself; empty: runs/ and the name of the run.");
  run.choice("mode", &RunOptions::mode,
             "What is run: train is one model on all images, federated a simulation of many clients.",
             {{"train", Mode::kTrain}, {"federated", Mode::kFederated}})
      .identity = true;
  run.integer("seed", &RunOptions::seed, "Seed of every random draw of the run.").identity = true;
  run.text(
      "resume", &RunOptions::resume,
      "auto continues an unfinished run of the same identity, never starts anew only, must continues only; "
      "otherwise the path of a checkpoint to continue from.");
  run.choice(
         "deterministic", &RunOptions::deterministic,
         "strict: the same bits at any rank count that divides train.shards, started or resumed; slower, see "
         "docs/reliability.md.",
         {{"false", Determinism::kNone}, {"strict", Determinism::kStrict}})
      .identity = true;
  run.flag("overwrite", &RunOptions::overwrite, "Move an existing run folder aside and start anew.");
  run.duration("time_limit", &RunOptions::time_limit_seconds,
               "Stop with a checkpoint and exit code 75 after this time; 0: no limit.");
}

void add_model_options(std::vector<Option>& table) {
  using model::ModelOptions;
  using model::Norm;
  SectionBuilder model(table, "model", &RunConfig::model, true);
  model.one_of(
      "name", &ModelOptions::name,
      "The network; pfl_cnn and lenet are the small ones of pfl-research and NIID-Bench, without norms "
      "and of fixed width.",
      {"resnet18", "resnet9", "pfl_cnn", "lenet"});
  model.one_of(
      "stem", &ModelOptions::stem,
      "First layers: cifar is a 3x3 convolution of stride 1, imagenet 7x7 of stride 2 and max-pooling "
      "(resnet18 only).",
      {"cifar", "imagenet"});
  model.choice("norm", &ModelOptions::norm,
               "Normalisation: batch takes each shard's statistics, sync_batch those of all ranks, group is "
               "independent of the batch.",
               {{"batch", Norm::kBatch}, {"sync_batch", Norm::kSyncBatch}, {"group", Norm::kGroup}});
  model.integer("group_norm_groups", &ModelOptions::group_norm_groups,
                "Groups of channels with norm: group; must divide model.width.", between(1, 1024));
  model.integer("width", &ModelOptions::width, "Channels of the first stage; the others follow.",
                between(1, 1024));
  model.flag("zero_init_residual", &ModelOptions::zero_init_residual,
             "Start the last norm weight of each residual block at 0 (Goyal et al. 2017).");
  model.one_of(
      "stem_init", &ModelOptions::stem_init,
      "First convolution: random as all others, or whitening: the training images' principal components, "
      "frozen (Page 2019, Jordan 2024).",
      {"random", "whitening"});
  model.text("init_from", &ModelOptions::init_from,
             "A safetensors file to start from; empty: fresh weights.");
}

void add_data_options(std::vector<Option>& table) {
  using data::AugmentOptions;
  using data::CropMode;
  using data::DataOptions;
  using data::Flip;
  SectionBuilder data(table, "data", &RunConfig::data, true);
  data.one_of("dataset", &DataOptions::dataset,
              "The images; folder: PNG and JPEG files in ROOT/train/CLASS/ and ROOT/test/CLASS/.",
              {"cifar10", "synthetic", "folder"});
  data.text("root", &DataOptions::root,
            "Folder or archive of the data; empty (cifar10 only): $RN_CIFAR10_DIR, else ./data/cifar10.")
      .identity = false;
  data.integer(
      "image_size", &DataOptions::image_size,
      "Side that the images of dataset: folder are scaled and cropped to; 0: they have one size already.",
      between(0, data::kMaxImageSide));
  data.integer("validation", &DataOptions::validation,
               "Training images held out as the split val, drawn by seed; 0: none.", between(0, kMostImages));
  data.integer("synthetic_train", &DataOptions::synthetic_train, "Training images of dataset: synthetic.",
               between(1, kMostImages));
  data.integer("synthetic_test", &DataOptions::synthetic_test, "Test images of dataset: synthetic.",
               between(1, kMostImages));
  data.choice(
          "storage", &DataOptions::storage,
          "Where the images lie during a run: in the memory of every rank, or in CIFAR-10's binary "
          "files, from which each is read when it is needed (once in the page cache for all ranks of a "
          "machine). auto: files in federated runs where the set lies so, else memory. The values are the "
          "same.",
          {{"auto", data::Storage::kAuto},
           {"memory", data::Storage::kMemory},
           {"files", data::Storage::kFiles}})
      .identity = false;
  data.integer("workers", &DataOptions::workers, "Threads per rank that prepare batches ahead of the step.",
               between(1, 256))
      .identity = false;
  data.integer("prefetch", &DataOptions::prefetch, "Batches kept ready per rank.", between(1, 1024))
      .identity = false;
  data.flag("on_device", &DataOptions::on_device,
            "Keep the training images on the GPU as bytes and augment them there; the values are the same. "
            "Not yet run on a GPU (docs/gpu.md).")
      .identity = false;

  SectionBuilder augment(table, "augment", &RunConfig::augment, true);
  augment.integer("crop_padding", &AugmentOptions::crop_padding,
                  "Pixels added on each side before a random crop of the image's size; 0: no crop.",
                  between(0, 128));
  augment.choice("crop_mode", &AugmentOptions::crop_mode, "What the added pixels hold.",
                 {{"zero", CropMode::kZero}, {"reflect", CropMode::kReflect}});
  augment.choice(
      "flip", &AugmentOptions::flip,
      "Horizontal flip; alternating flips a random half of the images in even epochs and the other half in "
      "odd ones.",
      {{"none", Flip::kNone}, {"random", Flip::kRandom}, {"alternating", Flip::kAlternating}});
  augment.integer("cutout", &AugmentOptions::cutout,
                  "Side of the square that is blanked, in pixels (DeVries and Taylor 2017); 0: none.",
                  between(0, 1024));
  augment.one_of("normalize", &AugmentOptions::normalize,
                 "Mean and standard deviation that the pixels are scaled by.",
                 {"cifar10", "imagenet", "half", "none"});
}

void add_dist_options(std::vector<Option>& table) {
  using dist::Backend;
  using dist::DistOptions;
  using dist::WireType;
  SectionBuilder dist(table, "dist", &RunConfig::dist, false);
  dist.choice("backend", &DistOptions::backend, "Transport between ranks; auto: nccl on GPUs, else mpi.",
              {{"auto", Backend::kAuto}, {"nccl", Backend::kNccl}, {"mpi", Backend::kMpi}});
  dist.number("bucket_mib", &DistOptions::bucket_mib, "Size of a gradient bucket, MiB of float32.",
              positive(kMostBucketMiB));
  dist.choice(
      "all_reduce_dtype", &DistOptions::all_reduce_dtype,
      "What gradients travel as: full is their own type, bf16 is rounded for the transport and summed in "
      "float32.",
      {{"full", WireType::kFull}, {"bf16", WireType::kBF16}});
  dist.flag("share_gpu", &DistOptions::share_gpu, "Let two ranks compute on one GPU.");
  // A deadline of up to ten days: more is a mistake of unit.
  const Range deadline = positive(864000);
  dist.number("init_deadline_seconds", &DistOptions::init_deadline_seconds, "Longest start of the ranks.",
              deadline);
  dist.number("data_deadline_seconds", &DistOptions::data_deadline_seconds, "Longest wait for a batch.",
              deadline);
  dist.number("step_deadline_seconds", &DistOptions::step_deadline_seconds, "Longest training step.",
              deadline);
  dist.number("eval_deadline_seconds", &DistOptions::eval_deadline_seconds, "Longest evaluation.", deadline);
  dist.number("checkpoint_deadline_seconds", &DistOptions::checkpoint_deadline_seconds, "Longest checkpoint.",
              deadline);

  using report::ReportOptions;
  SectionBuilder report(table, "report", &RunConfig::report, false);
  report.integer("every_steps", &ReportOptions::every_steps,
                 "Steps between two step records and progress lines.", at_least(1));
  report.flag("tensorboard", &ReportOptions::tensorboard, "Write TensorBoard scalars into the run folder.");
  report.one_of("progress", &ReportOptions::progress,
                "Progress on the terminal; auto: a live line on a terminal, plain lines elsewhere.",
                {"auto", "plain", "none"});
  report.integer("trace", &ReportOptions::trace,
                 "Steps whose times go into trace.json (Chrome trace, opens in Perfetto); 0: none.",
                 between(0, kMostTracedSteps));
  report.integer("trace_first_step", &ReportOptions::trace_first_step,
                 "First step of report.trace, or the first of this start if that is later.", at_least(1));
}

}  // namespace rn::config::detail
