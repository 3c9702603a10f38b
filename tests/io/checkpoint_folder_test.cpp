#include "io/checkpoint_folder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint_fixture.h"
#include "support/memory_file_system.h"
#include "support/temporary_directory.h"

namespace rn::io {
namespace {

using testing_support::MemoryFileSystem;
using Steps = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

class CheckpointFolderTest : public testing::Test {
 protected:
  MemoryFileSystem files_;
  CheckpointFolder folder_{files_, kCheckpoints};
};

TEST_F(CheckpointFolderTest, AnEmptyRunHasNoCheckpoints) {
  EXPECT_TRUE(folder_.steps().empty());
  EXPECT_EQ(folder_.last(), std::nullopt);
  EXPECT_EQ(folder_.best(), std::nullopt);
  folder_.prune(1);
  EXPECT_FALSE(files_.exists(kCheckpoints));
}

TEST_F(CheckpointFolderTest, LoadsWhatWasSaved) {
  save_sample(folder_, 100);
  EXPECT_EQ(load_sample(folder_.load(100), 100), 1);
  EXPECT_EQ(folder_.last(), 100);
  EXPECT_EQ(files_.list(kCheckpoints), (Names{"100", "last"}));
  EXPECT_EQ(files_.list(std::string(kCheckpoints) + "/100"),
            (Names{"manifest.json", "model.safetensors", "optimizer.safetensors"}));
}

TEST_F(CheckpointFolderTest, LinksOpenAsCheckpoints) {
  save_sample(folder_, 5);
  save_sample(folder_, 20);
  folder_.set_best(5);
  EXPECT_EQ(files_.read_link(std::string(kCheckpoints) + "/last"), "20");
  load_sample(load_checkpoint(files_, std::string(kCheckpoints) + "/last"), 20);
  load_sample(load_checkpoint(files_, std::string(kCheckpoints) + "/best"), 5);
  EXPECT_EQ(folder_.best(), 5);
}

TEST_F(CheckpointFolderTest, TheSameContentGivesTheSameBytes) {
  save_sample(folder_, 7);
  MemoryFileSystem other;
  CheckpointFolder other_folder(other, kCheckpoints);
  save_sample(other_folder, 7);
  for (const char* name : {"manifest.json", "model.safetensors", "optimizer.safetensors"}) {
    const std::string path = std::string(kCheckpoints) + "/7/" + name;
    EXPECT_EQ(files_.content(path), other.content(path)) << name;
  }
}

TEST_F(CheckpointFolderTest, StepsAreNumbersNotNames) {
  for (const std::int64_t step : {9, 100, 20, 0}) save_sample(folder_, step);
  files_.make_directory(std::string(kCheckpoints) + "/007");
  files_.make_directory(std::string(kCheckpoints) + "/notes");
  EXPECT_EQ(folder_.steps(), (Steps{0, 9, 20, 100}));
  EXPECT_EQ(folder_.last(), 100);
}

TEST_F(CheckpointFolderTest, SavingAStepAgainReplacesIt) {
  save_sample(folder_, 100, 1);
  save_sample(folder_, 100, 2);
  EXPECT_EQ(load_sample(folder_.load(100), 100), 2);
  EXPECT_EQ(files_.list(kCheckpoints), (Names{"100", "last"}));
}

TEST_F(CheckpointFolderTest, PruneKeepsTheNewestAndBest) {
  for (const std::int64_t step : {1, 2, 3, 4, 5}) save_sample(folder_, step);
  folder_.set_best(2);
  folder_.prune(2);
  EXPECT_EQ(folder_.steps(), (Steps{2, 4, 5}));
  EXPECT_EQ(files_.list(kCheckpoints), (Names{"2", "4", "5", "best", "last"}));
  folder_.set_best(5);
  folder_.prune(1);
  EXPECT_EQ(folder_.steps(), (Steps{5}));
  EXPECT_THROW(folder_.prune(0), InternalError);
}

TEST_F(CheckpointFolderTest, AFolderLosesItsManifestFirst) {
  save_sample(folder_, 1);
  save_sample(folder_, 2);
  const std::size_t before = files_.operations();
  folder_.prune(1);
  ASSERT_GT(files_.log().size(), before + 1);
  EXPECT_EQ(files_.log()[before], cat("remove ", kCheckpoints, "/1/manifest.json"));
  EXPECT_EQ(files_.log()[before + 1], cat("sync_directory ", kCheckpoints, "/1"));
}

TEST_F(CheckpointFolderTest, SaveClearsWhatACrashLeft) {
  save_sample(folder_, 1);
  const std::string base = kCheckpoints;
  files_.make_directory(temporary_path(base + "/2"));
  files_.symlink("2", temporary_path(base + "/last"));
  files_.make_directory(base + "/2");  // a prune that lost its power after the manifest
  files_.create(base + "/2/model.safetensors")->close();
  save_sample(folder_, 3);
  EXPECT_EQ(files_.list(kCheckpoints), (Names{"1", "3", "last"}));
}

TEST_F(CheckpointFolderTest, WhatIsMissingIsADataErrorThatNamesIt) {
  save_sample(folder_, 1);
  const auto message = [&](const std::string& path) -> std::string {
    try {
      load_checkpoint(files_, path);
    } catch (const DataError& error) {
      return error.what();
    }
    return "loaded";
  };
  EXPECT_NE(message("/run/checkpoints/9").find("no checkpoint at /run/checkpoints/9"), std::string::npos);
  EXPECT_NE(message("/run/checkpoints").find("no manifest.json"), std::string::npos);
  EXPECT_THROW(folder_.load(9), DataError);
  EXPECT_THROW(folder_.set_best(9), InternalError);
}

TEST_F(CheckpointFolderTest, ACheckpointUnderTheNameOfAnotherStepIsRefused) {
  save_sample(folder_, 1);
  files_.rename("/run/checkpoints/1", "/run/checkpoints/2");
  EXPECT_THROW(folder_.load(2), DataError);
  EXPECT_EQ(load_checkpoint(files_, "/run/checkpoints/2").step, 1);  // opened by path it is what it says
}

TEST_F(CheckpointFolderTest, RefusesNamesAndValuesThatCouldNotBeReadBack) {
  const SampleState state(1, 1);
  const auto save_as = [&](const std::string& name) { folder_.save(1, {{name, {}}}, {}); };
  for (const char* name : {"", "../x", "a/b", ".hidden", "manifest.json"}) {
    EXPECT_THROW(save_as(name), InternalError) << name;
  }
  EXPECT_THROW(folder_.save(1, {}, {{"best", std::nan("")}}), InternalError);
  EXPECT_THROW(folder_.save(1, {}, {{"deep", {{"list", {1.0, INFINITY}}}}}), InternalError);
  EXPECT_THROW(folder_.save(-1, {}, {}), InternalError);
  EXPECT_TRUE(folder_.steps().empty());
  EXPECT_NO_THROW(folder_.save(1, {}, {{"path", "not UTF-8: \xff"}}));
}

TEST(CheckpointFolderPosixTest, WorksOnTheRealFileSystem) {
  const testing_support::TemporaryDirectory directory;
  CheckpointFolder folder(posix_file_system(), directory / "run/checkpoints");
  for (const std::int64_t step : {1, 2, 3}) save_sample(folder, step);
  save_sample(folder, 3, 2);
  folder.set_best(1);
  folder.prune(1);
  EXPECT_EQ(folder.steps(), (Steps{1, 3}));
  EXPECT_EQ(load_sample(folder.load(3), 3), 2);
  load_sample(load_checkpoint(posix_file_system(), directory / "run/checkpoints/best"), 1);
  // The links are relative: the run folder may move.
  std::filesystem::rename(directory / "run", directory / "moved");
  load_sample(load_checkpoint(posix_file_system(), directory / "moved/checkpoints/last"), 3);
  EXPECT_EQ(posix_file_system().list(directory / "moved/checkpoints"), (Names{"1", "3", "best", "last"}));
}

}  // namespace
}  // namespace rn::io
