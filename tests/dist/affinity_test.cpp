#include "dist/affinity.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <numeric>
#include <set>
#include <thread>

#include "core/error.h"
#include "dist/cgroup_limit.h"

namespace rn::dist {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

std::vector<Cpu> plain_cpus(int count) {
  std::vector<Cpu> cpus;
  for (int i = 0; i < count; ++i) cpus.push_back({i, 0, i});
  return cpus;
}

TEST(AffinityTest, OneRankGetsAllCores) {
  const CoreShare share = split_cores(plain_cpus(6), kNoLimit, 0, 1);
  EXPECT_EQ(share.cpus.size(), 6u);
  EXPECT_EQ(share.threads, 6);
  EXPECT_FALSE(share.pinned);
}

TEST(AffinityTest, SharesAreDisjointCoverTheNodeAndHaveEqualThreads) {
  for (int cores = 1; cores <= 17; ++cores) {
    for (int ranks = 1; ranks <= cores; ++ranks) {
      std::set<int> seen;
      for (int rank = 0; rank < ranks; ++rank) {
        const CoreShare share = split_cores(plain_cpus(cores), kNoLimit, rank, ranks);
        EXPECT_EQ(share.threads, cores / ranks) << cores << " cores, " << ranks << " ranks";
        EXPECT_EQ(share.pinned, ranks > 1);
        for (const int cpu : share.cpus) EXPECT_TRUE(seen.insert(cpu).second) << cpu;
      }
      EXPECT_EQ(seen.size(), static_cast<std::size_t>(cores)) << ranks << " ranks";
    }
  }
}

TEST(AffinityTest, MoreRanksThanCoresAreNotPinned) {
  for (int rank = 0; rank < 4; ++rank) {
    const CoreShare share = split_cores(plain_cpus(2), kNoLimit, rank, 4);
    EXPECT_EQ(share.threads, 1);
    EXPECT_FALSE(share.pinned);
    EXPECT_EQ(share.cpus, (std::vector<int>{0, 1}));
  }
}

TEST(AffinityTest, SiblingsAndPackagesStayTogether) {
  // Two packages of two cores with two hyper-threads, numbered as Linux does: siblings are 4 apart.
  std::vector<Cpu> cpus;
  for (int id = 0; id < 8; ++id) cpus.push_back({id, id % 4 / 2, id % 2});
  EXPECT_EQ(split_cores(cpus, kNoLimit, 0, 2).cpus, (std::vector<int>{0, 4, 1, 5}));
  EXPECT_EQ(split_cores(cpus, kNoLimit, 1, 2).cpus, (std::vector<int>{2, 6, 3, 7}));
  EXPECT_EQ(split_cores(cpus, kNoLimit, 2, 4).cpus, (std::vector<int>{2, 6}));
}

TEST(AffinityTest, GapsInTheNumbersAreFine) {
  const CoreShare share = split_cores({{3, 0, 3}, {7, 0, 7}, {40, 0, 40}}, kNoLimit, 1, 2);
  EXPECT_EQ(share.cpus, (std::vector<int>{40}));
  EXPECT_EQ(share.threads, 1);
}

TEST(AffinityTest, ACpuTimeQuotaLimitsThreadsAndPinsNothing) {
  const CoreShare share = split_cores(plain_cpus(64), 4.0, 1, 2);
  EXPECT_EQ(share.threads, 2);
  EXPECT_FALSE(share.pinned);
  EXPECT_EQ(share.cpus.size(), 64u);
  EXPECT_EQ(split_cores(plain_cpus(64), 0.5, 0, 1).threads, 1);
  EXPECT_TRUE(split_cores(plain_cpus(4), 4.0, 0, 2).pinned);
}

TEST(AffinityTest, NonsenseIsRefused) {
  EXPECT_THROW(split_cores({}, kNoLimit, 0, 1), InternalError);
  EXPECT_THROW(split_cores(plain_cpus(2), kNoLimit, 2, 2), InternalError);
}

// In a thread of its own: the mask of the test process stays.
TEST(AffinityTest, WithoutALauncherTheMaskIsKept) {
  std::thread([] {
    cpu_set_t before, one, after;
    sched_getaffinity(0, sizeof(before), &before);
    int first = 0;
    while (!CPU_ISSET(first, &before)) ++first;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    const CoreShare share = claim_cores(LaunchEnv{});
    sched_getaffinity(0, sizeof(after), &after);
    EXPECT_TRUE(CPU_EQUAL(&one, &after));
    EXPECT_EQ(share.threads, 1);
    EXPECT_EQ(share.cpus, std::vector<int>{first});
  }).join();
}

TEST(AffinityTest, ALaunchedRankWidensANarrowMaskToItsShare) {
  std::thread([] {
    cpu_set_t before, one, after;
    sched_getaffinity(0, sizeof(before), &before);
    if (CPU_COUNT(&before) < 2) GTEST_SKIP() << "one core only";
    int first = 0;
    while (!CPU_ISSET(first, &before)) ++first;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    LaunchEnv env;
    env.launched = true;
    env.launcher = Launcher::kOpenMpi;
    const CoreShare share = claim_cores(env);  // the only rank of its node: the share is everything
    sched_getaffinity(0, sizeof(after), &after);
    EXPECT_GE(CPU_COUNT(&after), CPU_COUNT(&before));
    EXPECT_EQ(share.cpus.size(), static_cast<std::size_t>(CPU_COUNT(&after)));
  }).join();
}

class CgroupLimitTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / cat("cgroup_", getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }
  double limit() const { return cgroup_cpu_limit((folder_ / "cgroup").string(), (folder_ / "fs").string()); }
  std::filesystem::path folder_;
};

TEST_F(CgroupLimitTest, IsInfiniteWithoutFiles) { EXPECT_EQ(limit(), kNoLimit); }

TEST_F(CgroupLimitTest, ReadsVersion2AndTakesTheSmallestUpTheTree) {
  put("cgroup", "0::/job/step\n");
  put("fs/cpu.max", "max 100000\n");
  EXPECT_EQ(limit(), kNoLimit);
  put("fs/job/cpu.max", "150000 100000\n");
  EXPECT_EQ(limit(), 1.5);
  put("fs/job/step/cpu.max", "400000 100000\n");
  EXPECT_EQ(limit(), 1.5);
}

TEST_F(CgroupLimitTest, ReadsTheRootOfAContainerWhosePathIsNotMounted) {
  put("cgroup", "0::/docker/0123\n");
  put("fs/cpu.max", "200000 100000\n");
  EXPECT_EQ(limit(), 2.0);
}

TEST_F(CgroupLimitTest, ReadsVersion1) {
  put("cgroup", "9:memory:/a\n4:cpu,cpuacct:/a\n");
  put("fs/cpu/a/cpu.cfs_quota_us", "-1\n");
  put("fs/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(limit(), kNoLimit);
  put("fs/cpu/a/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(limit(), 3.0);
}

}  // namespace
}  // namespace rn::dist
