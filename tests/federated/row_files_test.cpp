#include "federated/row_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "core/error.h"
#include "support/hooked_file_system.h"
#include "support/temporary_directory.h"

namespace rn::federated {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBytes = 5000;

std::vector<std::byte> row_of(int value) {
  return std::vector<std::byte>(kBytes, static_cast<std::byte>(value));
}

void write_text(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

template <typename Call>
std::string failure_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kFailure);
    return error.what();
  }
  return "no failure";
}

class RowFilesTest : public ::testing::Test {
 protected:
  RowFiles make() { return {io::posix_file_system(), folder_, kBytes}; }

  const testing_support::TemporaryDirectory run_;
  const std::string above_ = run_ / "client_state";
  const std::string folder_ = above_ + "/rank0";
  const std::string victim_ = run_ / "victim";
};

TEST_F(RowFilesTest, RowsComeBackAndNothingIsLeftAtTheEnd) {
  {
    RowFiles rows = make();
    EXPECT_FALSE(fs::exists(above_)) << "made when the first is written";
    for (const int client : {3, 0, 7}) rows.write(client, row_of(client));
    EXPECT_EQ(rows.size(), 3);
    for (const int client : {3, 0, 7}) {
      const auto row = rows.map(client);
      EXPECT_TRUE(std::ranges::equal(row->bytes(), row_of(client))) << client;
    }
    rows.remove(3);
    EXPECT_FALSE(rows.contains(3));
  }
  EXPECT_FALSE(fs::exists(above_));
}

TEST_F(RowFilesTest, AMappingOutlivesItsFileAndItsSuccessor) {
  std::shared_ptr<const MappedRow> old;
  {
    RowFiles rows = make();
    rows.write(1, row_of(10));
    old = rows.map(1);
    rows.remove(1);
    rows.write(1, row_of(20));
    EXPECT_TRUE(std::ranges::equal(rows.map(1)->bytes(), row_of(20)));
  }
  EXPECT_TRUE(std::ranges::equal(old->bytes(), row_of(10)));
}

TEST_F(RowFilesTest, TheFolderAboveStaysWhereOthersUseIt) {
  RowFiles other(io::posix_file_system(), above_ + "/rank1", kBytes);
  other.write(1, row_of(1));
  {
    RowFiles rows = make();
    rows.write(1, row_of(1));
  }
  EXPECT_FALSE(fs::exists(folder_));
  EXPECT_TRUE(std::ranges::equal(other.map(1)->bytes(), row_of(1)));
}

TEST_F(RowFilesTest, WhatAKilledProcessLeftIsReplaced) {
  fs::create_directories(folder_);
  write_text(folder_ + "/1.bin", "half a row");
  write_text(folder_ + "/9.bin", "another");
  RowFiles rows = make();
  rows.write(1, row_of(4));
  EXPECT_TRUE(std::ranges::equal(rows.map(1)->bytes(), row_of(4)));
  EXPECT_FALSE(fs::exists(folder_ + "/9.bin"));
}

TEST_F(RowFilesTest, APlantedLinkIsNotWrittenThrough) {
  write_text(victim_, "precious");
  {
    RowFiles rows = make();
    rows.write(1, row_of(1));
    fs::create_symlink(victim_, folder_ + "/2.bin");
    fs::create_symlink(run_ / "nowhere", folder_ + "/3.bin");
    for (const int client : {2, 3}) {
      const auto failure = failure_of([&] { rows.write(client, row_of(client)); });
      EXPECT_NE(failure.find(cat(folder_, "/", client, ".bin")), std::string::npos) << failure;
      EXPECT_FALSE(rows.contains(client));
    }
  }
  EXPECT_EQ(text_of(victim_), "precious");
  EXPECT_FALSE(fs::exists(run_ / "nowhere"));
  EXPECT_FALSE(fs::exists(above_)) << "the links are removed with the folder";
}

TEST_F(RowFilesTest, APlantedLinkIsNotReadThrough) {
  RowFiles rows = make();
  rows.write(1, row_of(1));
  std::ofstream(victim_, std::ios::binary) << std::string(kBytes, 'x');
  fs::remove(folder_ + "/1.bin");
  fs::create_symlink(victim_, folder_ + "/1.bin");
  const auto failure = failure_of([&] { rows.map(1); });
  EXPECT_NE(failure.find("it is a link"), std::string::npos) << failure;
}

TEST_F(RowFilesTest, ALinkInTheFoldersPlaceIsReplacedAndItsTargetUntouched) {
  fs::create_directories(run_ / "elsewhere");
  write_text(run_ / "elsewhere/1.bin", "precious");
  fs::create_directories(above_);
  fs::create_directory_symlink(run_ / "elsewhere", folder_);
  {
    RowFiles rows = make();
    rows.write(1, row_of(1));
  }
  EXPECT_EQ(text_of(run_ / "elsewhere/1.bin"), "precious");
}

TEST_F(RowFilesTest, ALinkAboveTheFolderIsRefused) {
  fs::create_directories(run_ / "elsewhere/rank0");
  write_text(run_ / "elsewhere/rank0/1.bin", "precious");
  fs::create_directory_symlink(run_ / "elsewhere", above_);
  {
    RowFiles rows = make();
    const auto failure = failure_of([&] { rows.write(1, row_of(1)); });
    EXPECT_NE(failure.find("client_state is a link"), std::string::npos) << failure;
  }
  EXPECT_EQ(text_of(run_ / "elsewhere/rank0/1.bin"), "precious");
}

TEST_F(RowFilesTest, FoldersOfEarlierProcessesAreRemovedAndLinksNotFollowed) {
  fs::create_directories(run_ / "elsewhere");
  write_text(run_ / "elsewhere/1.bin", "precious");
  fs::create_directories(above_ + "/rank3");
  write_text(above_ + "/rank3/7.bin", "old");
  fs::create_directory_symlink(run_ / "elsewhere", above_ + "/rank1");
  remove_row_folders(io::posix_file_system(), above_);
  EXPECT_FALSE(fs::exists(above_));
  fs::create_directory_symlink(run_ / "elsewhere", above_);
  remove_row_folders(io::posix_file_system(), above_);
  remove_row_folders(io::posix_file_system(), run_ / "nothing");
  EXPECT_EQ(text_of(run_ / "elsewhere/1.bin"), "precious");
}

TEST_F(RowFilesTest, AFileThatWasCutIsSaidSo) {
  RowFiles rows = make();
  rows.write(1, row_of(1));
  fs::resize_file(folder_ + "/1.bin", kBytes - 1);
  const auto failure = failure_of([&] { rows.map(1); });
  EXPECT_NE(failure.find("no file of 5000 bytes"), std::string::npos) << failure;
}

TEST_F(RowFilesTest, AFullDiskIsSaidWithTheWayOutAndNoRowIsLost) {
  bool full = false;
  testing_support::HookedFileSystem files(
      io::posix_file_system(), [&](const std::string& operation, const std::string& path) {
        if (full && operation == "append") {
          throw Error(ExitCode::kFailure, cat("cannot write ", path, ": the disk is full"));
        }
      });
  RowFiles rows(files, folder_, kBytes);
  rows.write(1, row_of(1));
  full = true;
  const auto failure = failure_of([&] { rows.write(2, row_of(2)); });
  EXPECT_NE(failure.find("the disk is full"), std::string::npos) << failure;
  EXPECT_NE(failure.find("raise federated.client_state_mib"), std::string::npos) << failure;
  EXPECT_FALSE(rows.contains(2));
  EXPECT_TRUE(std::ranges::equal(rows.map(1)->bytes(), row_of(1)));
}

}  // namespace
}  // namespace rn::federated
