// Crashes and full disks at every operation of save, set_best, prune and drop_after.
#include <gtest/gtest.h>

#include <cerrno>

#include "core/error.h"
#include "core/random.h"
#include "io/checkpoint_scenarios.h"
#include "support/memory_file_system.h"
#include "support/point_log.h"

namespace rn::io {
namespace {

using testing_support::Crash;
using testing_support::MemoryFileSystem;

// A run whose next operation has a known number.
class ExistingRun {
 public:
  ExistingRun() {
    make_existing_run(files, kCheckpoints);
    start = files.operations();
  }
  MemoryFileSystem files;
  CheckpointFolder folder{files, kCheckpoints};
  std::size_t start;
};

class CheckpointCrashTest : public testing::TestWithParam<Scenario> {};

TEST_P(CheckpointCrashTest, AfterACrashAtAnyOperationTheOldOrTheNewOpensWhole) {
  std::size_t replayed = 0;
  for (std::size_t stop = 0;; ++stop) {
    ExistingRun run;
    run.files.crash_at(run.start + stop);
    bool crashed = false;
    try {
      GetParam().action(run.folder);
    } catch (const Crash&) {
      crashed = true;
    }
    // What was synced, all that was done, and random mixtures.
    for (std::uint64_t mixture = 0; mixture < 30; ++mixture) {
      SCOPED_TRACE(testing::Message() << (crashed ? run.files.log().back() : "completed") << " (operation "
                                      << stop << "), mixture " << mixture);
      CounterRandom random(mixture, Purpose::kSynthetic, stop, 0);
      const auto survivor = run.files.after_crash([&](std::size_t n) -> std::size_t {
        if (mixture < 2) return mixture == 0 ? 0 : n - 1;
        return random.below(static_cast<std::uint32_t>(n));
      });
      expect_whole(*survivor, kCheckpoints, GetParam());
      expect_usable(*survivor, kCheckpoints);
      ++replayed;
    }
    if (!crashed) break;
    ASSERT_LT(stop, 200u);
  }
  EXPECT_GT(replayed, 100u);
  testing_support::log_point({{"points", replayed}});
}

// A second crash, while the next run cleans up after the first.
TEST_P(CheckpointCrashTest, ACrashDuringTheRecoveryIsNoWorse) {
  int replayed = 0;
  for (std::size_t stop = 0;; ++stop) {
    ExistingRun run;
    run.files.crash_at(run.start + stop);
    bool crashed = false;
    try {
      GetParam().action(run.folder);
    } catch (const Crash&) {
      crashed = true;
    }
    for (std::size_t second = 0;; ++second) {
      SCOPED_TRACE(testing::Message() << "operation " << stop << ", then " << second);
      CounterRandom random(second, Purpose::kSynthetic, stop, 1);
      const auto draw = [&](std::size_t n) -> std::size_t {
        return random.below(static_cast<std::uint32_t>(n));
      };
      const auto survivor = run.files.after_crash(draw);
      survivor->crash_at(second);
      bool crashed_again = false;
      try {
        CheckpointFolder(*survivor, kCheckpoints).prune(3);
      } catch (const Crash&) {
        crashed_again = true;
      }
      const auto second_survivor = survivor->after_crash(draw);
      expect_whole(*second_survivor, kCheckpoints, GetParam());
      expect_usable(*second_survivor, kCheckpoints);
      ++replayed;
      if (!crashed_again) break;
      ASSERT_LT(second, 200u);
    }
    if (!crashed) break;
  }
  testing_support::log_point({{"points", replayed}});
}

enum class Fault { kFullFromHere, kReadOnlyFromHere, kOneFailure };

TEST_P(CheckpointCrashTest, AfterAFailureAtAnyOperationOlderCheckpointsAreValid) {
  int failures = 0;
  for (const Fault fault : {Fault::kFullFromHere, Fault::kReadOnlyFromHere, Fault::kOneFailure}) {
    for (std::size_t stop = 0;; ++stop) {
      SCOPED_TRACE(testing::Message() << "fault " << static_cast<int>(fault) << " at operation " << stop);
      ExistingRun run;
      const std::size_t operation = run.start + stop;
      if (fault == Fault::kFullFromHere) run.files.fill_disk_at(operation);
      if (fault == Fault::kReadOnlyFromHere) run.files.make_read_only_at(operation);
      if (fault == Fault::kOneFailure) run.files.fail_once_at(operation, EIO);
      bool failed = false;
      try {
        GetParam().action(run.folder);
      } catch (const Error& error) {
        failed = true;
        EXPECT_EQ(error.code(), ExitCode::kFailure) << error.what();
        const char* reason = fault == Fault::kFullFromHere       ? "the disk is full"
                             : fault == Fault::kReadOnlyFromHere ? "read-only"
                                                                 : "input/output error";
        EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
      }
      const bool reached = run.files.operations() > operation;
      expect_whole(run.files, kCheckpoints, GetParam());
      run.files.heal();
      expect_usable(run.files, kCheckpoints);
      if (!reached) break;
      ++failures;
      EXPECT_TRUE(failed || fault != Fault::kReadOnlyFromHere);
      ASSERT_LT(stop, 200u);
    }
  }
  testing_support::log_point({{"points", failures}});
}

INSTANTIATE_TEST_SUITE_P(AllOperations, CheckpointCrashTest, testing::ValuesIn(scenarios()),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(CheckpointFullDiskTest, AFailedSaveLeavesNothingHalfWrittenBehind) {
  for (std::size_t stop = 0;; ++stop) {
    ExistingRun run;
    const auto before = run.files.list(kCheckpoints);
    run.files.fill_disk_at(run.start + stop);
    try {
      save_sample(run.folder, 300);
      break;
    } catch (const Error&) {
    }
    auto after = run.files.list(kCheckpoints);
    std::erase(after, "300");  // published, and the disk filled up while the link was moved
    EXPECT_EQ(after, before) << "operation " << stop << ": " << run.files.log()[run.start + stop];
  }
}

}  // namespace
}  // namespace rn::io
