// run.deterministic: strict: the same bits at 1, 2 and 4 ranks, started or resumed at any of them.
#include "app_fixture.h"
#include "core/error.h"

namespace rn::app_testing {
namespace {

// Batch norm, every augmentation, all that carries state, and a last batch of 2 images: two of its 4 shards
// are empty.
const Words kStrict = {"run.deterministic=strict",
                       "model.norm=batch",
                       "ema.enabled=true",
                       "swa.enabled=true",
                       "swa.start=0.4",
                       "swa.bn_images=24",
                       "swa.interval_epochs=0.4",
                       "augment.cutout=8",
                       "augment.flip=alternating",
                       "augment.crop_padding=4",
                       "train.label_smoothing=0.1",
                       "train.clip_norm=1.5",
                       "report.tensorboard=false"};

struct Case {
  const char* name;
  Words changes;
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

class StrictTest : public AppTest, public testing::WithParamInterface<Case> {
 protected:
  // Everything but times.
  void expect_same_run(const std::string& run, const std::string& whole, std::int64_t from) const {
    auto expected = losses(whole);
    expected.erase(expected.begin(), expected.upper_bound(from));
    auto found = losses(run);
    found.erase(found.begin(), found.upper_bound(from));
    EXPECT_EQ(found, expected) << run;
    const std::int64_t last = last_checkpoint(whole);
    const auto ours = tensors(run, last), theirs = tensors(whole, last);
    ASSERT_EQ(ours.size(), theirs.size()) << run;
    for (const auto& [name, bytes] : theirs) {
      EXPECT_TRUE(ours.at(name) == bytes) << run << ": " << name << " differs from that of " << whole;
    }
    for (const char* file : {"/model.safetensors", "/ema.safetensors", "/swa.safetensors"}) {
      EXPECT_TRUE(read(run + file) == read(whole + file)) << run << file;
    }
    for (const char* kind : {"epoch", "eval"}) {
      const auto mine = events(run, kind), other = events(whole, kind);
      ASSERT_FALSE(other.empty());
      for (const char* field : {"train_loss", "train_top1", "loss", "top1"}) {
        EXPECT_EQ(mine.back().value(field, 0.0), other.back().value(field, 0.0))
            << run << ' ' << kind << ' ' << field;
      }
    }
  }
};

TEST_P(StrictTest, GivesTheSameBitsAtAnyRankCountStartedOrResumed) {
  const Words changes = kStrict + GetParam().changes;
  train_well("whole", changes + Words{"checkpoint.every_steps=1", "checkpoint.keep=100"});
  for (const int ranks : {1, 2, 4}) {
    const std::string run = cat("np", ranks);
    train_well(run, changes + Words{"checkpoint.every_steps=7", "checkpoint.keep=100"}, ranks);
    expect_same_run(run, "whole", 0);
  }
  struct Resume {
    const char* from;
    int ranks;
  };
  for (const auto& [from, ranks] : {Resume{"np4", 0}, Resume{"np2", 4}, Resume{"np1", 2}}) {
    const std::string run = cat("resumed_", from);
    const auto result = train_well(run, changes + Words{cat("run.resume=", from, "/checkpoints/7")}, ranks);
    EXPECT_EQ(result.text().find("the numbers differ"), std::string::npos) << result.text();
    expect_same_run(run, "whole", 7);
  }
}

INSTANTIATE_TEST_SUITE_P(
    , StrictTest,
    testing::Values(Case{"fp32", {"train.precision=fp32"}}, Case{"bf16", {"train.precision=bf16"}},
                    Case{"dropout", {"train.precision=fp32", "model.name=pfl_cnn", "model.width=64"}},
                    // Shards of 20 images and 64 channels: the own kernels run.
                    Case{"bf16_own_kernels",
                         {"train.precision=bf16", "model.width=32", "data.dataset=synthetic",
                          "data.synthetic_train=200", "data.synthetic_test=50", "train.global_batch=80",
                          "train.epochs=4"}}),
    [](const auto& param) { return param.param.name; });

class StrictRefusalTest : public AppTest {};

TEST_F(StrictRefusalTest, ShardsThatTheRanksDoNotDivideAreRefused) {
  const auto result = call(train("run", kStrict), 3);
  EXPECT_EQ(result.code, 2) << result.text();
  EXPECT_NE(result.text().find("train.shards: 4 shards cannot be divided among 3 ranks"), std::string::npos)
      << result.text();
}

TEST_F(StrictRefusalTest, OtherShardsOrThreadsAreAnotherRun) {
  train_well("run", kStrict + Words{"train.max_steps=2"});
  const auto shards = call(train("run", kStrict + Words{"train.max_steps=4", "train.shards=2"}));
  EXPECT_EQ(shards.code, 2);
  EXPECT_NE(shards.text().find("train.shards: the folder's run has 4, this one 2"), std::string::npos)
      << shards.text();
  const auto threads = call(train("run", kStrict + Words{"train.max_steps=4", "train.threads=2"}));
  EXPECT_EQ(threads.code, 2);
  EXPECT_NE(threads.text().find("train.threads"), std::string::npos) << threads.text();
}

}  // namespace
}  // namespace rn::app_testing
