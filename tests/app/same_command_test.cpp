// The same command, or nearly the same, on a folder that holds a run already.
#include <signal.h>

#include <filesystem>

#include "app_fixture.h"
#include "core/error.h"

namespace rn::app_testing {
namespace {

namespace fs = std::filesystem;

class SameCommandTest : public AppTest {
 protected:
  // The command must be refused with all `said` in its message, and change nothing.
  void expect_refusal(const Words& command, int code, const Words& said, int ranks = 0) const {
    const auto before = listing("run");
    const auto result = call(command, ranks);
    EXPECT_EQ(result.code, code) << result.text();
    for (const auto& words : said) {
      const auto at = result.err.find(words);
      EXPECT_NE(at, std::string::npos) << "'" << words << "' is not in: " << result.err;
      if (at != std::string::npos) {
        EXPECT_EQ(result.err.find(words, at + 1), std::string::npos) << result.err;
      }
    }
    EXPECT_EQ(listing("run"), before);
  }
};

TEST_F(SameCommandTest, OnAFinishedRunPrintsItsResultAndChangesNothing) {
  train_well("run", {"ema.enabled=true"});
  const auto before = listing("run");
  for (const int ranks : {0, 2}) {
    const auto again = train_well("run", {"ema.enabled=true"}, ranks);
    EXPECT_NE(again.out.find("run is finished after 15 steps"), std::string::npos) << again.out;
    char top1[32];
    const Json summary = Json::parse(read("run/summary.json"));
    for (const char* weights : {"raw", "ema"}) {
      std::snprintf(top1, sizeof top1, "test top-1 %.2f %% (%s)",
                    summary.at("evals").at("test").at(weights).at("top1").get<double>(), weights);
      EXPECT_NE(again.out.find(top1), std::string::npos) << top1 << " is not in: " << again.out;
    }
    EXPECT_EQ(listing("run"), before);
  }
}

TEST_F(SameCommandTest, AFinishedRunMadeLongerGoesOn) {
  train_well("run", {"schedule.name=constant"});
  train_well("run", {"schedule.name=constant", "train.epochs=4"});
  EXPECT_EQ(losses("run").size(), 20u);
  EXPECT_EQ(last_checkpoint("run"), 20);
  train_well("whole", {"schedule.name=constant", "train.epochs=4"});
  EXPECT_EQ(losses("run"), losses("whole"));  // a constant rate does not know the length
  EXPECT_EQ(tensors("run", 20), tensors("whole", 20));
  // And shorter again is finished.
  EXPECT_NE(train_well("run", {"schedule.name=constant"}).out.find("is finished after 20"),
            std::string::npos);
}

TEST_F(SameCommandTest, AnotherIdentityIsRefusedWithEveryKeyAndTheWaysOn) {
  train_well("run");
  const Words ways = {"run.name", "run.overwrite=true", "model.init_from=FILE"};
  expect_refusal(
      train("run", {"optimizer.lr=0.2", "run.seed=3", "model.width=8", "train.label_smoothing=0.1"}), 2,
      Words{"optimizer.lr: the folder's run has 0.05, this one 0.2",
            "run.seed: the folder's run has 0, this one 3", "model.width: the folder's run has 4, this one 8",
            "train.label_smoothing: the folder's run has 0, this one 0.1"} +
          ways);
  expect_refusal(train("run", {"train.global_batch=10"}), 2,
                 {"train.global_batch: the folder's run has 12, this one 10"}, 2);
  // What is no part of the identity may change.
  EXPECT_EQ(
      call(train("run", {"report.every_steps=7", "data.workers=2", "checkpoint.keep=5", "run.name=other"}))
          .code,
      0);
}

TEST_F(SameCommandTest, OtherDataIsAnotherIdentityAndAnotherPlaceIsNot) {
  train_well("run");
  fs::copy(data_root(), path("moved"), fs::copy_options::recursive);
  const auto moved = call(train("run", {"data.root=moved"}));
  EXPECT_EQ(moved.code, 0) << moved.text();
  std::string bytes = read("moved/cifar-10-batches-bin/data_batch_3.bin");
  bytes[2000] ^= 1;
  write("moved/cifar-10-batches-bin/data_batch_3.bin", bytes);
  expect_refusal(train("run", {"data.root=moved"}), 2, {"data's content", "run.overwrite=true"});
}

TEST_F(SameCommandTest, OverwriteMovesTheOldRunAside) {
  train_well("run");
  const auto before = listing("run");
  train_well("run", {"run.overwrite=true", "optimizer.lr=0.2"});
  std::vector<std::string> aside;
  for (const auto& entry : fs::directory_iterator(path("."))) {
    const std::string name = entry.path().filename();
    if (name.starts_with("run.old-")) aside.push_back(name);
  }
  ASSERT_EQ(aside.size(), 1u);
  EXPECT_EQ(listing(aside[0]), before);
  EXPECT_EQ(losses("run").size(), static_cast<std::size_t>(kSteps));
  EXPECT_NE(losses("run"), losses(aside[0]));
}

TEST_F(SameCommandTest, ResumeNeverMustAndPathDoAsTheySay) {
  const auto must = call(train("run", {"run.resume=must"}));
  EXPECT_EQ(must.code, 4) << must.text();
  EXPECT_NE(must.err.find("holds no run"), std::string::npos) << must.err;
  train_well("run", {"run.resume=never"});
  expect_refusal(train("run", {"run.resume=never"}), 2, {"run.resume is 'never'"});
  train_well("run", {"run.resume=must", "train.epochs=4"});
  EXPECT_EQ(last_checkpoint("run"), 20);

  train_well("from5", {"run.resume=run/checkpoints/last", "train.epochs=5"});
  EXPECT_EQ(losses("from5").begin()->first, 21);
  EXPECT_TRUE(fs::exists(path("from5/checkpoints/best")));  // the other folder's best is not ours
  const auto other = call(train("other", {"run.resume=run/checkpoints/last", "optimizer.lr=0.3"}));
  EXPECT_EQ(other.code, 2) << other.text();
  EXPECT_NE(other.err.find("optimizer.lr: the folder's run has 0.05, this one 0.3"), std::string::npos)
      << other.err;
  const auto nowhere = call(train("nowhere", {"run.resume=no/such/checkpoint"}));
  EXPECT_EQ(nowhere.code, 4) << nowhere.text();
  EXPECT_NE(nowhere.err.find("no/such/checkpoint"), std::string::npos) << nowhere.err;
}

TEST_F(SameCommandTest, AnotherRankCountIsAWarningWithBatchNormOnly) {
  train_well("batch");
  const auto warned = train_well("batch", {"train.epochs=4"}, 2);
  EXPECT_NE(warned.err.find("warning: resuming at 2 ranks what ran at 1"), std::string::npos) << warned.err;
  train_well("group", kGroupNorm);
  const auto silent = train_well("group", kGroupNorm + Words{"train.epochs=4"}, 2);
  EXPECT_EQ(silent.err.find("warning"), std::string::npos) << silent.err;
}

TEST_F(SameCommandTest, TwoLiveRunsInOneFolderAreRefusedWithThePid) {
  const Words changes = long_run(2000);
  auto first = start(train("run", changes));
  ASSERT_TRUE(reaches_step(first, "run", 3));
  for (const int ranks : {0, 2}) {
    const auto second = call(train("run", changes), ranks);
    EXPECT_EQ(second.code, 3) << second.text();
    EXPECT_NE(second.err.find(cat("in use by process ", first.pid(), " on ")), std::string::npos)
        << second.err;
  }
  const auto third = call(train("run", changes + Words{"run.overwrite=true"}));
  EXPECT_EQ(third.code, 3) << third.text();
  EXPECT_TRUE(failure("run").is_null()) << "a refusal is no failure of the live run";
  ASSERT_TRUE(first.is_running());
  first.send(SIGTERM);
  EXPECT_EQ(first.wait().code, 143);
  EXPECT_EQ(losses("run").rbegin()->first, last_checkpoint("run"));
}

TEST_F(SameCommandTest, AFolderThatHoldsSomethingElseIsLeftAlone) {
  fs::create_directory(path("run"));
  write("run/thesis.tex", "years of work");
  expect_refusal(train("run"), 2, {"thesis.tex"});
}

}  // namespace
}  // namespace rn::app_testing
