#include "report/append_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "scratch_folder.h"

namespace rn::report {
namespace {

// Lets no file of this process grow beyond `bytes`: the write that crosses it is cut short, the next one
// fails, as on a disk that runs full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    signal_before_ = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, signal_before_);
  }

 private:
  rlimit before_{};
  void (*signal_before_)(int) = nullptr;
};

TEST(AppendFileTest, EachRecordCanBeReadAsSoonAsItIsAppended) {
  const ScratchFolder folder;
  AppendFile file(folder / "log", AppendFile::Open::kExistingOrNew);
  EXPECT_TRUE(file.append("one\n"));
  EXPECT_EQ(read_text(folder / "log"), "one\n");
  EXPECT_TRUE(file.append("two\n"));
  EXPECT_EQ(read_text(folder / "log"), "one\ntwo\n");
}

TEST(AppendFileTest, ContinuesAnExistingFileAndCutsIt) {
  const ScratchFolder folder;
  write_text(folder / "log", "one\ntwo\n");
  AppendFile file(folder / "log", AppendFile::Open::kExistingOrNew);
  EXPECT_TRUE(file.truncate(4));
  EXPECT_TRUE(file.append("three\n"));
  EXPECT_EQ(read_text(folder / "log"), "one\nthree\n");
}

TEST(AppendFileTest, NewOnlyLeavesAnExistingFileAlone) {
  const ScratchFolder folder;
  write_text(folder / "log", "mine\n");
  testing::internal::CaptureStderr();
  AppendFile file(folder / "log", AppendFile::Open::kNewOnly);
  EXPECT_FALSE(file.is_open());
  EXPECT_FALSE(file.append("yours\n"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(read_text(folder / "log"), "mine\n");
}

TEST(AppendFileTest, AFullDiskLeavesWholeRecordsWarnsOnceAndRecovers) {
  const ScratchFolder folder;
  // The limit holds for every file, the one that gtest captures stderr in too: so the log is near it, stderr
  // is not.
  const std::string before = std::string(8191, '.') + "\n";
  write_text(folder / "log", before);
  AppendFile file(folder / "log", AppendFile::Open::kExistingOrNew);
  testing::internal::CaptureStderr();
  {
    const FileSizeLimit full(before.size() + 10);
    EXPECT_TRUE(file.append("eight..\n"));
    EXPECT_FALSE(file.append("torn after two bytes\n"));
    EXPECT_FALSE(file.append("and again\n"));
  }
  const std::string warnings = testing::internal::GetCapturedStderr();
  EXPECT_NE(warnings.find("cannot write " + (folder / "log")), std::string::npos) << warnings;
  EXPECT_EQ(warnings.find("cannot write"), warnings.rfind("cannot write")) << warnings;
  EXPECT_EQ(read_text(folder / "log"), before + "eight..\n");
  EXPECT_TRUE(file.append("space again\n"));
  EXPECT_EQ(read_text(folder / "log"), before + "eight..\nspace again\n");
}

TEST(AppendFileTest, WhatCannotBeOpenedSwallowsRecordsAfterOneWarning) {
  const ScratchFolder folder;
  write_text(folder / "file", "");
  testing::internal::CaptureStderr();
  AppendFile file(folder / "file/below", AppendFile::Open::kExistingOrNew);
  EXPECT_FALSE(file.append("lost\n"));
  EXPECT_FALSE(file.truncate(0));
  const std::string warnings = testing::internal::GetCapturedStderr();
  EXPECT_NE(warnings.find("cannot open"), std::string::npos) << warnings;
}

TEST(AppendFileTest, MovingLeavesTheSourceClosed) {
  const ScratchFolder folder;
  AppendFile first(folder / "log", AppendFile::Open::kExistingOrNew);
  AppendFile second(std::move(first));
  EXPECT_TRUE(second.append("one\n"));
  AppendFile third;
  third = std::move(second);
  EXPECT_FALSE(second.is_open());  // NOLINT(bugprone-use-after-move): what a move leaves is what is tested
  EXPECT_TRUE(third.append("two\n"));
  EXPECT_EQ(read_text(folder / "log"), "one\ntwo\n");
}

TEST(AppendFileTest, ALinkInItsPlaceIsNotFollowed) {
  const ScratchFolder folder;
  AppendFile(folder / "other", AppendFile::Open::kExistingOrNew).append("theirs\n");
  std::filesystem::create_symlink("other", folder / "log");
  AppendFile file(folder / "log", AppendFile::Open::kExistingOrNew);
  EXPECT_FALSE(file.is_open());
  EXPECT_FALSE(file.append("mine\n"));
  EXPECT_EQ(read_text(folder / "other"), "theirs\n");
}

}  // namespace
}  // namespace rn::report
