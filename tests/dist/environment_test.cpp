// What a start refuses, and what it repairs.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "dist/device_choice.h"
#include "dist/library_versions.h"
#include "dist/process_limits.h"

namespace rn::dist {
namespace {

// Ranks by the number of their GPU; -1: none.
std::vector<DeviceFacts> ranks_on(std::initializer_list<int> gpus) {
  std::vector<DeviceFacts> ranks;
  for (const int gpu : gpus) {
    DeviceFacts facts;
    facts.host = {'a'};
    facts.device_count = gpu < 0 ? 0 : 4;
    facts.uuid[0] = static_cast<char>(gpu + 1);
    ranks.push_back(facts);
  }
  return ranks;
}

std::string error_of(const std::vector<DeviceFacts>& ranks, bool share) {
  try {
    check_devices(ranks, share);
  } catch (const EnvironmentError& error) {
    return error.what();
  }
  return {};
}

TEST(DeviceCheckTest, OneRankPerGpu) {
  EXPECT_FALSE(check_devices(ranks_on({0, 1, 2, 3}), false));
  EXPECT_FALSE(check_devices(ranks_on({-1, -1}), false));
  EXPECT_NE(error_of(ranks_on({0, 1, 0}), false).find("ranks 0, 2 on host a would share a GPU"),
            std::string::npos);
  EXPECT_NE(error_of(ranks_on({0, 0}), false).find("dist.share_gpu=true"), std::string::npos);
}

TEST(DeviceCheckTest, TwoRanksPerGpuWhereTheUserWantsIt) {
  EXPECT_TRUE(check_devices(ranks_on({0, 1, 0, 1}), true));
  EXPECT_FALSE(check_devices(ranks_on({0, 1}), true));
  EXPECT_NE(error_of(ranks_on({0, 0, 0}), true).find("ranks 0-2"), std::string::npos);
}

TEST(DeviceCheckTest, AllRanksHaveAGpuOrNone) {
  for (const bool share : {false, true}) {
    EXPECT_NE(error_of(ranks_on({0, -1}), share).find("rank 1 on host a sees no GPU"), std::string::npos);
  }
}

TEST(LoadedFilesTest, FindsEachLibraryOnce) {
  const std::string maps =
      "7f0 r-xp 00000000 08:01 12 /opt/a/libnccl.so.2\n"
      "7f1 r--p 00001000 08:01 12 /opt/a/libnccl.so.2\n"
      "7f2 rw-p 00000000 00:00 0 \n"
      "7f3 r-xp 00000000 08:01 13 /opt/libnccl.so.dir/libother.so\n"
      "7f4 r-xp 00000000 08:01 14 /opt/b c/libnccl.so.2.28.3";
  EXPECT_EQ(loaded_files(maps, "libnccl.so"),
            (std::vector<std::string>{"/opt/a/libnccl.so.2", "/opt/b c/libnccl.so.2.28.3"}));
  EXPECT_TRUE(loaded_files("", "libnccl.so").empty());
}

// `body` in a process of its own with these limits on open files; its value is the exit code.
template <typename Body>
int with_limits(rlim_t soft, rlim_t hard, Body body) {
  const pid_t pid = fork();
  if (pid == 0) {
    const rlimit limit{soft, hard};
    _exit(setrlimit(RLIMIT_NOFILE, &limit) == 0 ? body() : 99);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

TEST(ProcessLimitsTest, ALowSoftLimitIsRaisedWithOneLine) {
  rlimit mine{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &mine), 0);
  const rlim_t hard = std::min<rlim_t>(mine.rlim_max, 8192);
  ASSERT_GT(hard, 300u);
  EXPECT_EQ(0, with_limits(256, hard, [&] {
              const std::string line = raise_soft_limits();
              rlimit now{};
              getrlimit(RLIMIT_NOFILE, &now);
              return line == cat("open files: limit raised from 256 to ", hard) && now.rlim_cur == hard &&
                             limits_problem().empty() && raise_soft_limits().empty()
                         ? 0
                         : 1;
            }));
}

TEST(ProcessLimitsTest, AHardLimitThatIsTooLowIsNamed) {
  EXPECT_EQ(0, with_limits(64, 64, [] {
              return raise_soft_limits().empty() && limits_problem().find("ulimit -Hn") != std::string::npos
                         ? 0
                         : 1;
            }));
}

}  // namespace
}  // namespace rn::dist
