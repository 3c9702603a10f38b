#include "config/validate.h"

#include "config_test_support.h"

namespace rn::config {
namespace {

using namespace testing_support;

struct Rule {
  const char* broken;  // YAML
  const char* message;
  const char* kept;  // the nearest YAML that is good
};

void PrintTo(const Rule& rule, std::ostream* out) { *out << rule.broken; }

class RuleTest : public ::testing::TestWithParam<Rule> {};

TEST_P(RuleTest, IsSaidExactly) { EXPECT_EQ(load_error(GetParam().broken), GetParam().message); }
TEST_P(RuleTest, LeavesItsNeighbourAlone) {
  EXPECT_EQ(load_error(GetParam().kept), "no error") << GetParam().kept;
}

const Rule kRules[] = {
    {"train: {global_batch: 64, batch_per_rank: 32}",
     "a.yaml:1:43: train.batch_per_rank: is given together with train.global_batch: 64; give one of them",
     "train: {global_batch: 0, batch_per_rank: 32}"},
    {"model: {name: resnet9, stem: imagenet}",
     "a.yaml:1:30: model.stem: 'imagenet' exists for model.name: resnet18 only, not resnet9; use stem: cifar",
     "model: {name: resnet18, stem: imagenet}"},
    {"model: {norm: group, width: 16}",
     "a.yaml:1:29: model.group_norm_groups: 32 groups do not divide model.width: 16",
     "model: {norm: group, width: 16, group_norm_groups: 8}"},
    {"augment: {crop_padding: 32, crop_mode: reflect}",
     "a.yaml:1:25: augment.crop_padding: 32 pixels cannot be reflected in images of 32 pixels; use at most "
     "31 or "
     "crop_mode: zero",
     "augment: {crop_padding: 32, crop_mode: zero}"},
    {"augment: {crop_padding: 32}",
     "a.yaml:1:25: augment.crop_padding: 32 pixels cannot be reflected in images of 32 pixels; use at most "
     "31 or "
     "crop_mode: zero",
     "augment: {crop_padding: 31}"},
    {"data: {validation: 50000}",
     "a.yaml:1:20: data.validation: 50000 images held out leave none of the 50000 to "
     "train on",
     "data: {validation: 49999}"},
    {"data: {dataset: synthetic, validation: 100, synthetic_train: 100}",
     "a.yaml:1:40: data.validation: 100 images held out leave none of the 100 to train on",
     "data: {dataset: synthetic, validation: 99, synthetic_train: 100}"},
    {"optimizer: {momentum: 0}",
     "a.yaml:1:23: optimizer.nesterov: needs optimizer.momentum above 0; set nesterov: false",
     "optimizer: {momentum: 0, nesterov: false}"},
    {"schedule: {name: one_cycle, warmup_epochs: 1}",
     "a.yaml:1:44: schedule.warmup_epochs: one_cycle has its own rise (schedule.pct_start); leave "
     "warmup_epochs at 0",
     "schedule: {name: cosine, warmup_epochs: 1}"},
    {"schedule: {warmup_epochs: 13}",
     "a.yaml:1:27: schedule.warmup_epochs: 13 epochs of warm-up are longer than train.epochs: 12",
     "schedule: {warmup_epochs: 12}"},
    {"schedule: {min_lr: 0.2}", "a.yaml:1:20: schedule.min_lr: 0.2 is above optimizer.lr: 0.1",
     "schedule: {min_lr: 0.1}"},
    {"swa: {enabled: true, start: 12}",
     "a.yaml:1:29: swa.start: epoch 12 is not before the run's end at epoch 12",
     "swa: {enabled: true, start: 11.5}"},
    {"swa: {enabled: true, lr: 0}",
     "a.yaml:1:26: swa.lr: must be above 0: at rate 0 all averaged weights are the same", "swa: {lr: 0}"},
    {"swa: {enabled: true, cycle_epochs: 1, min_lr: 0.1}",
     "a.yaml:1:47: swa.min_lr: 0.1 is above the cycle's top swa.lr: 0.05",
     "swa: {enabled: true, cycle_epochs: 1, min_lr: 0.05}"},
    {"{run: {deterministic: strict}, train: {shards: 6}}",
     "a.yaml:1:48: train.shards: 6 is not a power of two; the sum over shards is a binary tree",
     "{run: {deterministic: strict}, train: {shards: 8}}"},
    {"{run: {deterministic: strict}, train: {accumulate_steps: 2}}",
     "a.yaml:1:58: train.accumulate_steps: has no meaning with run.deterministic: strict, where train.shards "
     "divides the batch; leave it at 1",
     "{run: {deterministic: false}, train: {accumulate_steps: 2}}"},
    {"{run: {deterministic: strict}, model: {norm: sync_batch}}",
     "a.yaml:1:46: model.norm: sync_batch joins the shards that run.deterministic: strict computes alone; "
     "use "
     "batch or group",
     "{run: {deterministic: strict}, model: {norm: batch}}"},
    {"{run: {deterministic: strict}, dist: {all_reduce_dtype: bf16}}",
     "a.yaml:1:57: dist.all_reduce_dtype: rounds what run.deterministic: strict must not; use full",
     "{run: {deterministic: strict}, dist: {all_reduce_dtype: full}}"},
    {"{run: {deterministic: strict}, train: {shards: 8, global_batch: 7}}",
     "a.yaml:1:48: train.shards: 8 shards of a batch of 7 images would be empty in part",
     "{run: {deterministic: strict}, train: {shards: 8, global_batch: 8}}"},
    {"train: {cuda_graph: true, accumulate_steps: 2}",
     "a.yaml:1:21: train.cuda_graph: records one step for all full batches, and train.accumulate_steps cuts "
     "them; set it to false",
     "train: {cuda_graph: true}"},
    {"{train: {cuda_graph: true}, run: {deterministic: strict}}",
     "a.yaml:1:22: train.cuda_graph: records one step for all full batches, and run.deterministic: strict "
     "cuts them into shards; set it to false",
     "{train: {cuda_graph: true}, run: {deterministic: false}}"},
    {"{train: {cuda_graph: true}, model: {norm: sync_batch}}",
     "a.yaml:1:22: train.cuda_graph: records one step for all full batches, and model.norm: sync_batch has "
     "collectives whose sizes change; set it to false",
     "{train: {cuda_graph: true}, model: {norm: group}}"},
    {"{train: {cuda_graph: true}, model: {name: pfl_cnn}}",
     "a.yaml:1:22: train.cuda_graph: records one step for all full batches, and pfl_cnn's dropout draws on "
     "the host; set it to false",
     "{train: {cuda_graph: true}, model: {name: resnet9}}"},
    {"run: {name: a/b}",
     "a.yaml:1:13: run.name: 'a/b' cannot be the name of a folder; use letters, digits, '-', '_' and '.'",
     "run: {name: a.b}"},
    {"run: {name: ..}",
     "a.yaml:1:13: run.name: '..' cannot be the name of a folder; use letters, digits, '-', '_' and '.'",
     "run: {name: ...}"},
    {"run: {resume: atuo}",
     "a.yaml:1:15: run.resume: 'atuo' is not known; did you mean 'auto'?; allowed: auto, never, must, or a "
     "path with "
     "'/' in it",
     "run: {resume: ./atuo}"},
    {"run: {resume: must, overwrite: true}",
     "a.yaml:1:32: run.overwrite: true moves the run aside that run.resume: must would continue; give one of "
     "them",
     "run: {resume: auto, overwrite: true}"},
};
INSTANTIATE_TEST_SUITE_P(All, RuleTest, ::testing::ValuesIn(kRules));

TEST(ValidateTest, ARuleOnTheCommandLineSaysSo) {
  EXPECT_EQ(load_error("train: {epochs: 3}", {"swa.enabled=true", "swa.start=5"}),
            "command line: swa.start: epoch 5 is not before the run's end at epoch 3");
}

TEST(ValidateTest, ConfigurationsMadeInCodeAreCheckedAllAtOnce) {
  RunConfig config;
  config.optimizer.momentum = 0;
  config.run.name = "";
  EXPECT_EQ(error_of([&] { validate(config); }),
            "run.name: '' cannot be the name of a folder; use letters, digits, '-', '_' and '.'\n"
            "optimizer.nesterov: needs optimizer.momentum above 0; set nesterov: false");
  EXPECT_NO_THROW(validate(RunConfig{}));
}

TEST(CheckWorldTest, StrictRunsNeedRanksThatDivideTheShards) {
  RunConfig config;
  config.run.deterministic = Determinism::kStrict;
  for (const int ranks : {1, 2, 4}) EXPECT_NO_THROW(check_world(config, ranks)) << ranks;
  EXPECT_EQ(error_of([&] { check_world(config, 3); }),
            "train.shards: 4 shards cannot be divided among 3 ranks; run.deterministic: strict needs a rank "
            "count that divides them");
}

TEST(CheckWorldTest, RefusesMoreRanksThanImages) {
  RunConfig config;
  config.train.global_batch = 3;
  EXPECT_NO_THROW(check_world(config, 3));
  EXPECT_EQ(error_of([&] { check_world(config, 4); }),
            "train.global_batch: 3 images cannot be shared by 4 ranks; start at most 3 ranks or raise it to "
            "at least 4");
  config.train.global_batch = 0;
  config.train.batch_per_rank = 1;
  EXPECT_NO_THROW(check_world(config, 1000));
}

}  // namespace
}  // namespace rn::config
