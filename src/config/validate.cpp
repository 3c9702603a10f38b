#include "config/validate.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "config/derived.h"
#include "config/option.h"
#include "config/problems.h"
#include "config/suggest.h"
#include "config/validate_rules.h"
#include "core/error.h"

namespace rn::config {
namespace {

void check_run(const RunConfig& config, Rules& rules) {
  const auto& run = config.run;
  const bool is_name =
      !run.name.empty() && run.name != "." && run.name != ".." && run.name.find('/') == std::string::npos;
  rules.require(is_name, {"run.name"}, quote(run.name),
                " cannot be the name of a folder; use letters, digits, '-', '_' and '.'");
  // A misspelt word would otherwise be taken for a path.
  const bool is_word = run.resume == "auto" || run.resume == "never" || run.resume == "must";
  const bool is_path = run.resume.find_first_of("/.") != std::string::npos;
  const auto near = nearest(run.resume, {"auto", "never", "must"});
  rules.require(is_word || is_path, {"run.resume"}, quote(run.resume), " is not known",
                near ? cat("; did you mean ", quote(*near), "?") : "",
                "; allowed: auto, never, must, or a path with '/' in it");
  rules.require(!run.overwrite || run.resume == "auto" || run.resume == "never" || !(is_word || is_path),
                {"run.overwrite", "run.resume"}, "true moves the run aside that run.resume: ", run.resume,
                " would continue; give one of them");
}

void check_model(const RunConfig& config, Rules& rules) {
  const auto& model = config.model;
  rules.require(model.stem != "imagenet" || model.name == "resnet18", {"model.stem", "model.name"},
                "'imagenet' exists for model.name: resnet18 only, not ", model.name, "; use stem: cifar");
  rules.require(model.norm != model::Norm::kGroup || model.width % model.group_norm_groups == 0,
                {"model.group_norm_groups", "model.width", "model.norm"}, model.group_norm_groups,
                " groups do not divide model.width: ", model.width);
}

void check_data(const RunConfig& config, Rules& rules) {
  const auto& data = config.data;
  const bool synthetic = data.dataset == "synthetic", folder = data.dataset == "folder";
  rules.require(!folder || !data.root.empty(), {"data.root", "data.dataset"},
                "must name the folder that holds train/ and test/, since data.dataset is folder");
  rules.require(data.storage != data::Storage::kFiles || data.dataset == "cifar10",
                {"data.storage", "data.dataset"}, "only CIFAR-10's images can stay in their files; use auto");
  rules.require(data.storage != data::Storage::kFiles || !data.on_device, {"data.on_device", "data.storage"},
                "takes the images from memory; leave data.storage at auto");
  const std::int64_t images = synthetic ? data.synthetic_train : 50000;  // CIFAR-10's training images
  rules.require(folder || data.validation < images,
                {"data.validation", "data.dataset", "data.synthetic_train"}, data.validation,
                " images held out leave none of the ", images, " to train on");

  // A folder's images are looked at later; the augmenter holds them to the same rule.
  const int side = !folder ? 32 : data.image_size > 0 ? data.image_size : data::kMaxImageSide;
  const auto& augment = config.augment;
  // A reflection has one pixel less than the side to give (torch.nn.ReflectionPad2d).
  rules.require(augment.crop_mode != data::CropMode::kReflect || augment.crop_padding < side,
                {"augment.crop_padding", "augment.crop_mode"}, augment.crop_padding,
                " pixels cannot be reflected in images of ", side, " pixels; use at most ", side - 1,
                " or crop_mode: zero");
}

void check_train(const RunConfig& config, Rules& rules) {
  const auto& train = config.train;
  rules.require(train.global_batch == 0 || train.batch_per_rank == 0,
                {"train.batch_per_rank", "train.global_batch"},
                "is given together with train.global_batch: ", train.global_batch, "; give one of them");

  if (train.cuda_graph) {
    const auto refuse = [&](bool refused, std::string_view key, std::string_view why) {
      rules.require(!refused, {"train.cuda_graph", std::string(key)},
                    "records one step for all full batches, ", why, "; set it to false");
    };
    refuse(train.accumulate_steps != 1, "train.accumulate_steps", "and train.accumulate_steps cuts them");
    refuse(is_strict(config), "run.deterministic", "and run.deterministic: strict cuts them into shards");
    refuse(config.model.norm == model::Norm::kSyncBatch, "model.norm",
           "and model.norm: sync_batch has collectives whose sizes change");
    refuse(config.model.name == "pfl_cnn", "model.name", "and pfl_cnn's dropout draws on the host");
  }

  const auto& optimizer = config.optimizer;
  rules.require(!optimizer.nesterov || optimizer.momentum > 0, {"optimizer.nesterov", "optimizer.momentum"},
                "needs optimizer.momentum above 0; set nesterov: false");

  const auto& schedule = config.schedule;
  const bool one_cycle = schedule.name == "one_cycle";
  rules.require(!one_cycle || schedule.warmup_epochs == 0, {"schedule.warmup_epochs", "schedule.name"},
                "one_cycle has its own rise (schedule.pct_start); leave warmup_epochs at 0");
  rules.require(one_cycle || schedule.warmup_epochs <= train.epochs,
                {"schedule.warmup_epochs", "train.epochs"}, format_number(schedule.warmup_epochs),
                " epochs of warm-up are longer than train.epochs: ", format_number(train.epochs));
  rules.require(schedule.name != "cosine" || schedule.min_lr <= optimizer.lr,
                {"schedule.min_lr", "optimizer.lr", "schedule.name"}, format_number(schedule.min_lr),
                " is above optimizer.lr: ", format_number(optimizer.lr));
}

void check_strict(const RunConfig& config, Rules& rules) {
  if (!is_strict(config)) return;
  const auto& train = config.train;
  rules.require(std::has_single_bit(static_cast<unsigned>(train.shards)),
                {"train.shards", "run.deterministic"}, train.shards,
                " is not a power of two; the sum over shards is a binary tree");
  rules.require(
      train.accumulate_steps == 1, {"train.accumulate_steps", "run.deterministic"},
      "has no meaning with run.deterministic: strict, where train.shards divides the batch; leave it "
      "at 1");
  rules.require(
      config.model.norm != model::Norm::kSyncBatch, {"model.norm", "run.deterministic"},
      "sync_batch joins the shards that run.deterministic: strict computes alone; use batch or group");
  rules.require(config.dist.all_reduce_dtype == dist::WireType::kFull,
                {"dist.all_reduce_dtype", "run.deterministic"},
                "rounds what run.deterministic: strict must not; use full");
  rules.require(train.global_batch == 0 || train.global_batch >= train.shards,
                {"train.shards", "train.global_batch", "run.deterministic"}, train.shards,
                " shards of a batch of ", train.global_batch, " images would be empty in part");
}

void check_swa(const RunConfig& config, Rules& rules) {
  const auto& swa = config.swa;
  if (!swa.enabled) return;
  const double epochs = config.train.epochs;
  const double start = swa.start < 1 ? swa.start * epochs : swa.start;
  rules.require(start < epochs, {"swa.start", "train.epochs", "swa.enabled"}, "epoch ",
                format_number(swa.start), " is not before the run's end at epoch ", format_number(epochs));
  rules.require(swa.lr > 0, {"swa.lr", "swa.enabled"},
                "must be above 0: at rate 0 all averaged weights are the same");
  rules.require(swa.cycle_epochs == 0 || swa.min_lr <= swa.lr, {"swa.min_lr", "swa.lr", "swa.cycle_epochs"},
                format_number(swa.min_lr), " is above the cycle's top swa.lr: ", format_number(swa.lr));
}

}  // namespace

std::vector<Violation> find_violations(const RunConfig& config) {
  Rules rules;
  check_run(config, rules);
  check_model(config, rules);
  check_data(config, rules);
  check_train(config, rules);
  check_strict(config, rules);
  check_swa(config, rules);
  check_federated(config, rules);
  return std::move(rules.violations);
}

void validate(const RunConfig& config) {
  Problems problems;
  for (const auto& violation : find_violations(config))
    problems.add("", violation.keys.front(), violation.message);
  problems.raise();
}

void check_world(const RunConfig& config, int world_size) {
  RN_CHECK(world_size >= 1, "config: world size ", world_size);
  if (config.run.mode == Mode::kFederated) return;  // a client trains on one rank
  if (is_strict(config) && config.train.shards % world_size != 0) {
    throw ConfigError(cat("train.shards: ", config.train.shards, " shards cannot be divided among ",
                          world_size,
                          " ranks; run.deterministic: strict needs a rank count that divides them"));
  }
  const auto batch = global_batch(config, world_size);
  if (batch < world_size) {
    throw ConfigError(cat("train.global_batch: ", batch, " images cannot be shared by ", world_size,
                          " ranks; start at most ", batch, " ranks or raise it to at least ", world_size));
  }
}

}  // namespace rn::config
