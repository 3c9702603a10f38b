// What a run leaves behind: the folder, the records, the summary.
#include <filesystem>
#include <set>

#include "app_fixture.h"

namespace rn::app_testing {
namespace {

namespace fs = std::filesystem;

class RunFolderTest : public AppTest {
 protected:
  std::set<std::string> names_in(const std::string& folder) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(path(folder))) {
      const std::string name = entry.path().filename();
      if (name != ".lock") names.insert(name);
    }
    return names;
  }
  static void expect_fields(const Json& record, const std::set<std::string>& fields) {
    for (const auto& field : fields) EXPECT_TRUE(record.contains(field)) << field << " in " << record;
  }
};

TEST_F(RunFolderTest, HoldsExactlyWhatTheContractSays) {
  train_well("plain");
  EXPECT_EQ(names_in("plain"), (std::set<std::string>{"config.resolved.yaml", "metrics.jsonl", "summary.json",
                                                      "tensorboard", "checkpoints", "model.safetensors"}));
  EXPECT_EQ(names_in("plain/tensorboard").size(), 1u);
  for (const char* link : {"last", "best"}) {
    const auto target = fs::read_symlink(path(std::string("plain/checkpoints/") + link));
    EXPECT_TRUE(target.is_relative() && fs::exists(path("plain/checkpoints") / target)) << link << target;
  }
  EXPECT_EQ(last_checkpoint("plain"), kSteps);
  EXPECT_EQ(names_in("plain/checkpoints/15"),
            (std::set<std::string>{"manifest.json", "model.safetensors", "optimizer.safetensors"}));

  train_well("averages",
             {"ema.enabled=true", "swa.enabled=true", "swa.start=0.4", "report.tensorboard=false"});
  EXPECT_EQ(names_in("averages"),
            (std::set<std::string>{"config.resolved.yaml", "metrics.jsonl", "summary.json", "checkpoints",
                                   "model.safetensors", "ema.safetensors", "swa.safetensors"}));
  EXPECT_EQ(names_in("averages/checkpoints/15"),
            (std::set<std::string>{"manifest.json", "model.safetensors", "optimizer.safetensors",
                                   "ema.safetensors", "swa.safetensors"}));
}

TEST_F(RunFolderTest, RecordsHaveTheFieldsOfTheContract) {
  train_well("run", {"data.validation=10", "ema.enabled=true"});  // 40 images: 4 steps per epoch
  const auto all = records("run");
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.front().at("event"), "run_start");
  EXPECT_EQ(all.back().at("event"), "run_end");

  expect_fields(all.front(), {"config", "world_size", "devices", "versions", "total_steps"});
  EXPECT_FALSE(all.front().contains("resumed_from"));
  EXPECT_EQ(all.front().at("config").at("model").at("width"), 4);
  EXPECT_EQ(all.front().at("world_size"), 1);
  expect_fields(all.back(), {"status", "exit_code", "seconds", "peak_memory_bytes"});
  EXPECT_EQ(all.back().at("status"), "done");
  EXPECT_EQ(all.back().at("exit_code"), 0);

  const auto steps = events("run", "step");
  ASSERT_EQ(steps.size(), 12u);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    expect_fields(steps[i],
                  {"step", "epoch", "loss", "lr", "images_per_second", "data_wait_ms", "comm_wait_ms"});
    EXPECT_EQ(steps[i].at("step"), i + 1);
    EXPECT_NEAR(steps[i].at("epoch"), static_cast<double>(i + 1) / 4, 1e-9);
    EXPECT_GT(steps[i].at("images_per_second"), 0);
    EXPECT_NEAR(steps[i].at("loss"), 2.3, 1);
  }
  const auto epochs = events("run", "epoch");
  ASSERT_EQ(epochs.size(), 3u);
  double loss_sum = 0;  // the epoch's mean is weighted by the true counts: 12, 12, 12 and 4 images
  for (std::size_t i = 0; i < 4; ++i) loss_sum += steps[i].at("loss").get<double>() * (i == 3 ? 4 : 12);
  expect_fields(epochs[0], {"epoch", "step", "train_loss", "train_top1", "lr", "seconds"});
  EXPECT_NEAR(epochs[0].at("train_loss"), loss_sum / 40, 1e-6);
  EXPECT_EQ(epochs[0].at("step"), 4);

  std::set<std::string> at_the_end;
  for (const auto& eval : events("run", "eval")) {
    expect_fields(eval, {"step", "epoch", "split", "weights", "top1", "top5", "loss", "n", "seconds"});
    EXPECT_EQ(eval.at("n"), eval.at("split") == "val" ? 10 : 20);
    EXPECT_LE(eval.at("top1"), eval.at("top5"));
    if (eval.at("step") == 12) {
      at_the_end.insert(eval.at("split").get<std::string>() + " " + eval.at("weights").get<std::string>());
    } else {
      EXPECT_EQ(eval.at("split"), "val");  // the test split is looked at once, at the end
    }
  }
  EXPECT_EQ(at_the_end, (std::set<std::string>{"val raw", "val ema", "test raw", "test ema"}));
}

TEST_F(RunFolderTest, ARunCutShortByMaxStepsEndsWithACheckpointAndATest) {
  const auto result =
      train_well("run", {"train.max_steps=7", "report.progress=plain", "report.every_steps=3"});
  EXPECT_EQ(last_checkpoint("run"), 7);
  const auto evals = events("run", "eval");
  ASSERT_FALSE(evals.empty());
  EXPECT_EQ(evals.back().at("step"), 7);
  EXPECT_EQ(evals.back().at("split"), "test");
  std::vector<std::int64_t> steps;
  for (const auto& [step, loss] : losses("run")) steps.push_back(step);
  EXPECT_EQ(steps, (std::vector<std::int64_t>{3, 6, 7}));
  const auto summary = Json::parse(read("run/summary.json"));
  EXPECT_EQ(summary.at("status"), "done");
  EXPECT_EQ(summary.at("steps"), 7);
  EXPECT_EQ(summary.at("evals").at("test").at("raw").at("n"), 20);
  EXPECT_NE(result.out.find("done: 7 steps"), std::string::npos) << result.out;
}

TEST_F(RunFolderTest, BestFollowsTheMonitoredMeasure) {
  train_well("run", {"checkpoint.monitor=test.loss", "train.epochs=4", "optimizer.lr=0.4"});
  std::int64_t best_step = -1;
  double best = 1e9;
  for (const auto& eval : events("run", "eval")) {
    if (eval.at("loss") < best) {
      best = eval.at("loss");
      best_step = eval.at("step");
    }
  }
  EXPECT_EQ(fs::read_symlink(path("run/checkpoints/best")).string(), std::to_string(best_step));
  const auto summary = Json::parse(read("run/summary.json"));
  EXPECT_EQ(summary.at("monitor"), "test.loss");
  EXPECT_EQ(summary.at("best_metric"), best);
}

TEST_F(RunFolderTest, TheResolvedConfigurationRunsAgainToTheSameNumbers) {
  train_well("first");
  write("again.yaml", read("first/config.resolved.yaml"));
  const auto again = call({"again.yaml", "run.dir=second"});
  ASSERT_EQ(again.code, 0) << again.text();
  EXPECT_EQ(losses("second"), losses("first"));
  EXPECT_EQ(tensors("second", kSteps), tensors("first", kSteps));
}

}  // namespace
}  // namespace rn::app_testing
