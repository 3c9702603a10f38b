// Mistakes of the user and damaged files: one clear message, the right exit code, nothing lost.
#include <filesystem>

#include "app_fixture.h"
#include "core/error.h"

namespace rn::app_testing {
namespace {

namespace fs = std::filesystem;

class BadInputTest : public AppTest {
 protected:
  // Every one of `said` exactly once on standard error, which names no source file of ours.
  void expect_error(const Words& command, int code, const Words& said, int ranks = 0) const {
    const auto result = call(command, ranks);
    EXPECT_EQ(result.code, code) << result.text();
    for (const auto& words : said) {
      const auto at = result.err.find(words);
      EXPECT_NE(at, std::string::npos) << "'" << words << "' is not in: " << result.err;
      if (at != std::string::npos) {
        EXPECT_EQ(result.err.find(words, at + 1), std::string::npos)
            << "'" << words << "' twice: " << result.err;
      }
    }
    EXPECT_EQ(result.err.find(".cpp"), std::string::npos) << "a stack or source line: " << result.err;
  }
  std::string copy_of_data() const {
    fs::copy(data_root(), path("data"), fs::copy_options::recursive);
    return "data/cifar-10-batches-bin/";
  }
  void flip_byte(const std::string& name, std::size_t at) const {
    std::string bytes = read(name);
    ASSERT_GT(bytes.size(), at) << name;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    write(name, bytes);
  }
};

TEST_F(BadInputTest, AllConfigurationErrorsAreToldAtOnceWithTheirPlace) {
  write("bad.yaml",
        "model: {name: resnet9, widht: 4}\ntrain:\n  epochs: -1\n  precision: fp8\noptimizer: {lr: fast}\n");
  for (const int ranks : {0, 2}) {
    expect_error({"bad.yaml", "train.global_bach=3"}, 2,
                 {"bad.yaml:1:24", "model.widht", "model.width", "bad.yaml:3:", "train.epochs",
                  "bad.yaml:4:", "train.precision", "fp8", "bad.yaml:5:", "optimizer.lr", "train.global_bach",
                  "train.global_batch"},
                 ranks);
  }
  EXPECT_FALSE(fs::exists(path("runs")));
  write("twice.yaml", "train: {epochs: 1}\ntrain: {epochs: 2}\n");
  expect_error({"twice.yaml"}, 2, {"twice.yaml:2:1"});
  expect_error({"missing.yaml"}, 2, {"missing.yaml"});
}

TEST_F(BadInputTest, MissingDataIsNamedWithTheLineToType) {
  write("plain.yaml", "train: {epochs: 1}\n");
  expect_error({"plain.yaml", "run.dir=run"}, 4, {"rn_dist data fetch", "data/cifar10"});
  expect_error({"plain.yaml", "run.dir=run2", "data.root=nowhere"}, 4, {"rn_dist data fetch --root nowhere"},
               2);
}

// An error before the run has its folder is not that of the run that lies there.
TEST_F(BadInputTest, ARunThatNeverBeganLeavesNoMarkInAFolder) {
  train_well("run");
  const auto before = listing("run");
  write("plain.yaml", "train: {epochs: 1}\n");
  for (const int ranks : {0, 2}) {
    expect_error({"plain.yaml", "run.dir=run"}, 4, {"rn_dist data fetch"}, ranks);
    expect_error({"plain.yaml", "run.dir=new"}, 4, {"rn_dist data fetch"}, ranks);
  }
  expect_error(train("run", {"train.global_batch=1"}), 2, {"1 images cannot be shared by 2 ranks"}, 2);
  flip_byte("run/checkpoints/15/optimizer.safetensors", 2000);
  expect_error(train("run", {"train.epochs=4"}), 4, {"damaged"}, 2);
  flip_byte("run/checkpoints/15/optimizer.safetensors", 2000);
  auto after = listing("run");
  after["checkpoints/15/optimizer.safetensors"] = before.at("checkpoints/15/optimizer.safetensors");
  EXPECT_EQ(after, before);
  EXPECT_FALSE(fs::exists(path("new")));
}

TEST_F(BadInputTest, ARunFolderThatCannotBeMadeIsRefused) {
  write("file", "not a folder");
  for (const int ranks : {0, 2}) {
    expect_error(train("file/run"), 3, {"run.dir: file/run cannot be used", "a part of the path is a file"},
                 ranks);
    expect_error(train("file"), 3, {"run.dir: file cannot be used"}, ranks);
  }
}

TEST_F(BadInputTest, MemoryThatIsNotThereIsSaidWithoutAStack) {
  // The weights alone take 11 GB, more than the process may map.
  const auto limited = [](const std::string& command) {
    return Words{"bash", "-c", "ulimit -v 3000000; exec " RN_DIST " " + command};
  };
  auto model = Process(limited("c.yaml run.dir=run model.name=resnet18 model.width=1024"), path("")).wait();
  EXPECT_EQ(model.code, 1) << model.text();
  EXPECT_NE(model.err.find("out of memory: can't allocate"), std::string::npos) << model.err;
  EXPECT_EQ(model.err.find("frame #"), std::string::npos) << model.err;
  EXPECT_EQ(model.err.find(".cpp"), std::string::npos) << model.err;
  auto step = Process(limited("c.yaml run.dir=run model.name=resnet18 model.width=64 data.dataset=synthetic "
                              "data.synthetic_train=4000 train.global_batch=4000"),
                      path(""))
                  .wait();
  EXPECT_EQ(step.code, 1) << step.text();
  EXPECT_NE(step.err.find("out of memory in step 1"), std::string::npos) << step.err;
  EXPECT_NE(step.err.find("train.accumulate_steps"), std::string::npos) << step.err;
  EXPECT_EQ(step.err.find("frame #"), std::string::npos) << step.err;
  EXPECT_EQ(step.err.find(".cpp"), std::string::npos) << step.err;
}

TEST_F(BadInputTest, BrokenDataIsNamedByFileAndRecord) {
  const std::string folder = copy_of_data();
  constexpr std::size_t kRecord = 3073;
  const std::string good = read(folder + "data_batch_2.bin");
  std::string bad = good;
  bad[4 * kRecord] = 11;
  write(folder + "data_batch_2.bin", bad);
  expect_error(train("run", {"data.root=data"}), 4, {"data_batch_2.bin", "record 4", "label 11"});
  write(folder + "data_batch_2.bin", good.substr(0, 5000));
  expect_error(train("run", {"data.root=data"}), 4, {"data_batch_2.bin", "truncated", "record 1"}, 2);
  write(folder + "data_batch_2.bin", good + "x");
  expect_error(train("run", {"data.root=data"}), 4, {"data_batch_2.bin"});
}

TEST_F(BadInputTest, ADamagedCheckpointIsRefusedByName) {
  train_well("run");
  const std::string file = "run/checkpoints/15/optimizer.safetensors";
  const std::string good = read(file);
  flip_byte(file, good.size() - 5);
  expect_error(train("run", {"train.epochs=4"}), 4, {file, "damaged"});
  expect_error({"eval", "run/checkpoints/15"}, 4, {file, "damaged"}, 2);
  write(file, good.substr(0, good.size() / 2));
  expect_error(train("run", {"train.epochs=4"}), 4, {file, "cut"});
  fs::remove(path(file));
  expect_error(train("run", {"train.epochs=4"}), 4, {file});
  write(file, good);
  const std::string manifest = "run/checkpoints/15/manifest.json";
  flip_byte(manifest, read(manifest).size() / 2);
  expect_error({"eval", "run/checkpoints/15"}, 4, {manifest});
  // The checkpoint before it is untouched, and serves by name.
  fs::remove_all(path("run/checkpoints/15"));
  train_well("run", {"train.epochs=3"});
  EXPECT_EQ(losses("run").size(), static_cast<std::size_t>(kSteps));
}

TEST_F(BadInputTest, ADamagedSummaryIsNamedAndCanBeRemoved) {
  train_well("run");
  for (const char* text : {"{", "[1]", R"({"status": 1})", R"({"status": "done", "steps": "many"})",
                           R"({"status": "done", "steps": 15, "evals": {"test": {"raw": 3}}})"}) {
    write("run/summary.json", text);
    expect_error(train("run"), 4, {"run/summary.json", "Remove it"});
  }
  fs::remove(path("run/summary.json"));
  train_well("run");
  EXPECT_EQ(Json::parse(read("run/summary.json")).at("status"), "done");
}

TEST_F(BadInputTest, ACheckpointOfAnotherModelIsRefused) {
  train_well("run", {"train.max_steps=1"});
  expect_error(
      {"eval", "run", "model.width=8"}, 4,
      {"run/checkpoints/1/model.safetensors", "does not hold this model", "fc.weight ([10, 32] in the file"});
  expect_error({"eval", "run", "--weights", "ema"}, 4, {"no ema weights"});
  expect_error({"eval", "run", "--split", "val"}, 2, {"'val' is empty"});
  expect_error({"eval", "nothing"}, 4, {"nothing"});
}

TEST_F(BadInputTest, MoreRanksThanImagesOfABatchIsSaidOnce) {
  expect_error(train("run", {"train.global_batch=2"}), 2, {"2 images cannot be shared by 3 ranks"}, 3);
}

TEST_F(BadInputTest, WhatNeedsAGpuIsRefusedOnTheCpu) {
  expect_error(train("run", {"data.on_device=true", "dist.backend=mpi"}), 2,
               {"data.on_device: true keeps the images on a GPU"});
  expect_error(train("run", {"train.cuda_graph=true", "dist.backend=mpi"}), 2,
               {"train.cuda_graph: true launches steps as a GPU's graph"});
}

TEST_F(BadInputTest, NumbersThatAreNotFiniteEndTheRunAtTheStep) {
  for (const int ranks : {0, 2}) {
    const std::string run = cat("run", ranks);
    const auto result = call(train(run, {"optimizer.lr=1e30"}), ranks);
    ASSERT_EQ(result.code, 5) << result.text();
    const auto report = failure(run);
    ASSERT_FALSE(report.is_null());
    EXPECT_EQ(report.at("code"), 5);
    const std::int64_t step = report.at("step");
    EXPECT_EQ(losses(run).rbegin()->first, step - 1) << "the step after the last good record";
    const std::string words = cat("step ", step, ": the ");
    const auto at = result.err.find(words);
    ASSERT_NE(at, std::string::npos) << result.err;
    EXPECT_EQ(result.err.find(words, at + 1), std::string::npos) << "said twice: " << result.err;
    EXPECT_NE(result.err.find("optimizer.lr"), std::string::npos) << result.err;
    EXPECT_NE(report.at("message").get<std::string>().find(words), std::string::npos);
  }
  // The next good start in the folder clears the report away.
  train_well("run0", {"run.overwrite=true"});
  EXPECT_TRUE(failure("run0").is_null());
}

}  // namespace
}  // namespace rn::app_testing
