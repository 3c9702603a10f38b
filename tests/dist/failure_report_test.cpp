#include "dist/failure_report.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>
#include <vector>

#include "core/host_name.h"

namespace rn::dist {
namespace {

namespace fs = std::filesystem;

class FailureFileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / cat("failure_report_", getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Files of the run folder besides failure.json.
  std::vector<std::string> leftovers(const fs::path& folder) const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename() != "failure.json") names.push_back(entry.path().filename());
    }
    return names;
  }

  fs::path folder_;
};

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

FailureReport example() {
  FailureReport report;
  report.code = ExitCode::kData;
  report.rank = 3;
  report.pid = 4711;
  report.phase = Phase::kCheckpoint;
  report.step = 120;
  report.collective = 9;
  report.message = "line one\n\"quoted\"";
  return report;
}

TEST(FailureReportTest, JsonHoldsWhatTheContractNames) {
  const auto json = nlohmann::json::parse(to_json(example()));
  EXPECT_EQ(json.at("code"), 4);
  EXPECT_EQ(json.at("rank"), 3);
  EXPECT_EQ(json.at("host"), host_name());
  EXPECT_EQ(json.at("pid"), 4711);
  EXPECT_EQ(json.at("phase"), "checkpoint");
  EXPECT_EQ(json.at("step"), 120);
  EXPECT_EQ(json.at("collective"), 9);
  EXPECT_EQ(json.at("message"), "line one\n\"quoted\"");
  EXPECT_EQ(json.at("time").get<std::string>().size(), 20u);
  EXPECT_EQ(json.size(), 9u);
  FailureReport of_library = example();
  of_library.details = "frame #0";
  EXPECT_EQ(nlohmann::json::parse(to_json(of_library)).at("details"), "frame #0");
}

TEST(FailureReportTest, JsonSurvivesTextThatIsNotUtf8) {
  FailureReport report = example();
  report.message = "bad \xff byte";
  EXPECT_TRUE(nlohmann::json::accept(to_json(report))) << to_json(report);
}

TEST_F(FailureFileTest, AFolderThatIsGoneIsNotMadeAgain) {
  EXPECT_FALSE(FailureFile((folder_ / "gone").string()).write("{}\n"));
  EXPECT_FALSE(fs::exists(folder_ / "gone"));
}

TEST_F(FailureFileTest, TheFirstWriterWins) {
  const FailureFile file(folder_.string());
  EXPECT_TRUE(file.write("first"));
  EXPECT_FALSE(file.write("second"));
  EXPECT_EQ(text_of(folder_ / "failure.json"), "first");
  EXPECT_TRUE(leftovers(folder_).empty());
}

TEST_F(FailureFileTest, OneOfManyProcessesWins) {
  constexpr int kProcesses = 8;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t pid = fork();
    if (pid == 0)
      _exit(FailureFile(folder_.string()).write(std::string(20000, static_cast<char>('a' + i))) ? 1 : 0);
    children.push_back(pid);
  }
  int winners = 0, winner = -1;
  for (int i = 0; i < kProcesses; ++i) {
    int status = 0;
    waitpid(children[static_cast<std::size_t>(i)], &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 1) {
      ++winners;
      winner = i;
    }
  }
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(text_of(folder_ / "failure.json"), std::string(20000, static_cast<char>('a' + winner)));
  EXPECT_TRUE(leftovers(folder_).empty());
}

TEST_F(FailureFileTest, OneOfManyThreadsWins) {
  const FailureFile file(folder_.string());
  std::atomic<int> winners{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { winners += file.write("x") ? 1 : 0; });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(winners, 1);
}

TEST_F(FailureFileTest, WithoutARunFolderNothingIsWritten) { EXPECT_FALSE(FailureFile("").write("{}")); }

TEST_F(FailureFileTest, AFileInPlaceOfTheFolderIsNoCrash) {
  std::ofstream(folder_ / "file") << "x";
  EXPECT_FALSE(FailureFile((folder_ / "file").string()).write("{}"));
}

}  // namespace
}  // namespace rn::dist
