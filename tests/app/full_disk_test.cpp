// A full and a read-only disk under the run folder: a small tmpfs, which needs root.
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "app_fixture.h"
#include "core/error.h"

namespace rn::app_testing {
namespace {

namespace fs = std::filesystem;

class FullDiskTest : public AppTest {
 protected:
  void SetUp() override {
    fs::create_directory(path("disk"));
    if (mount("none", path("disk").c_str(), "tmpfs", 0, "size=420k") != 0) {
      GTEST_SKIP() << "cannot mount a small disk (" << std::strerror(errno) << "); this test needs root";
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) umount2(path("disk").c_str(), MNT_DETACH);
  }
  void remount(const char* size, unsigned long flags = 0) const {
    ASSERT_EQ(mount("none", path("disk").c_str(), "tmpfs", MS_REMOUNT | flags, size), 0)
        << std::strerror(errno);
  }

 private:
  bool mounted_ = false;
};

TEST_F(FullDiskTest, AFullDiskEndsTheRunButNotItsEarlierCheckpoints) {
  const auto result =
      call(train("disk/run", {"checkpoint.keep=9", "train.epochs=4", "report.tensorboard=false"}));
  EXPECT_EQ(result.code, 1) << result.text();
  EXPECT_NE(result.err.find("the disk is full"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("Earlier checkpoints are untouched"), std::string::npos) << result.err;
  const auto last = last_checkpoint("disk/run");
  ASSERT_GE(last, 5);
  EXPECT_LT(last, 20);
  const auto eval = call({"eval", "disk/run/checkpoints/last"});
  EXPECT_EQ(eval.code, 0) << eval.text();
  for (const auto& [name, what] : listing("disk/run")) {
    EXPECT_EQ(name.find(".tmp-"), std::string::npos) << name << " was left behind";
  }
  // With room again the same command goes on.
  remount("size=4m");
  train_well("disk/run", {"checkpoint.keep=9", "train.epochs=4", "report.tensorboard=false"});
  EXPECT_EQ(losses("disk/run").size(), 20u);
}

// The disk has room for the one checkpoint that is there, and for no other; records lie elsewhere.
TEST_F(FullDiskTest, AFullDiskStopsTrainingOnlyIfSoConfigured) {
  const Words changes = {"train.epochs=4", "checkpoint.keep=1", "report.tensorboard=false"};
  train_well("run", changes + Words{"train.max_steps=5"});
  const auto checkpoints = path("run/checkpoints");
  fs::copy(checkpoints, path("disk/checkpoints"),
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  fs::remove_all(checkpoints);
  fs::create_directory(checkpoints);
  ASSERT_EQ(mount(path("disk/checkpoints").c_str(), checkpoints.c_str(), nullptr, MS_BIND, nullptr), 0)
      << std::strerror(errno);
  const auto space = fs::space(path("disk"));
  remount(cat("size=", (space.capacity - space.free) / 1024 + 60, "k").c_str());

  const auto stopped = call(train("run", changes + Words{"checkpoint.on_error=stop"}));
  EXPECT_EQ(stopped.code, 1) << stopped.text();
  EXPECT_NE(stopped.err.find("the checkpoint of step 10 could not be written"), std::string::npos)
      << stopped.err;
  EXPECT_LT(losses("run").size(), 16u) << "it ends before the next one";
  EXPECT_EQ(failure("run").at("code"), 1);

  const auto continued = call(train("run", changes));
  EXPECT_EQ(continued.code, 1) << continued.text() << "the last one must succeed";
  EXPECT_EQ(losses("run").size(), 20u) << "training went on";
  EXPECT_NE(continued.err.find("training goes on"), std::string::npos) << continued.err;
  EXPECT_EQ(last_checkpoint("run"), 5);
  std::size_t failed = 0;
  for (const Json& record : events("run", "checkpoint")) failed += record.at("written") == false;
  EXPECT_GE(failed, 3u);

  remount("size=4m");
  train_well("run", changes);
  EXPECT_EQ(losses("run").size(), 20u);
  EXPECT_EQ(last_checkpoint("run"), 20);
  EXPECT_EQ(umount2(checkpoints.c_str(), MNT_DETACH), 0);
}

// Room for the one checkpoint, of weights and momentum, but not for the weights once more.
TEST_F(FullDiskTest, ADiskThatIsFullAtTheVeryEndCostsNoTraining) {
  const Words changes = {"eval.every_epochs=0", "checkpoint.every_epochs=0", "report.tensorboard=false"};
  remount("size=284k");
  const auto result = call(train("disk/run", changes));
  EXPECT_EQ(result.code, 1) << result.text();
  const std::string words = "the final weights could not be written";
  const auto at = result.err.find(words);
  ASSERT_NE(at, std::string::npos) << result.err;
  EXPECT_EQ(result.err.find(words, at + 1), std::string::npos) << "said twice: " << result.err;
  EXPECT_NE(result.err.find("the disk is full"), std::string::npos) << result.err;
  EXPECT_EQ(last_checkpoint("disk/run"), kSteps);
  const auto eval = call({"eval", "disk/run"});
  EXPECT_EQ(eval.code, 0) << eval.text();
  remount("size=4m");
  train_well("disk/run", changes);
  EXPECT_GT(fs::file_size(path("disk/run/model.safetensors")), 0u);
  EXPECT_EQ(losses("disk/run").size(), static_cast<std::size_t>(kSteps));
  EXPECT_EQ(events("disk/run", "eval").size(), 1u) << "the evaluation that came again stands once";
}

TEST_F(FullDiskTest, AReadOnlyDiskIsRefusedByName) {
  train_well("disk/run", {"train.max_steps=1", "report.tensorboard=false"});
  remount("size=420k", MS_RDONLY);
  for (const char* run : {"disk/run", "disk/new"}) {
    for (const int ranks : {0, 2}) {
      const auto result = call(train(run), ranks);
      EXPECT_EQ(result.code, 3) << result.text();
      EXPECT_NE(result.err.find("the file system is read-only"), std::string::npos) << result.err;
      EXPECT_NE(result.err.find(cat("run.dir: ", run)), std::string::npos) << result.err;
    }
  }
  const auto eval = call({"eval", "disk/run"});
  EXPECT_EQ(eval.code, 0) << eval.text();
}

}  // namespace
}  // namespace rn::app_testing
