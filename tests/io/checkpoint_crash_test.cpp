// Crashes and full disks at every operation of save, set_best and prune.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "io/checkpoint_fixture.h"
#include "support/memory_file_system.h"

namespace rn::io {
namespace {

using testing_support::Crash;
using testing_support::MemoryFileSystem;

struct Scenario {
  const char* name;
  std::function<void(CheckpointFolder&)> action;
  // What may be there afterwards: pairs of last and best step, and versions of step 200.
  std::set<std::pair<std::int64_t, std::int64_t>> last_and_best;
  std::set<int> versions_of_200;
};

void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

const Scenario kScenarios[] = {
    {"Save", [](CheckpointFolder& folder) { save_sample(folder, 300); }, {{200, 100}, {300, 100}}, {1}},
    {"Replace", [](CheckpointFolder& folder) { save_sample(folder, 200, 2); }, {{200, 100}}, {1, 2}},
    {"SetBest", [](CheckpointFolder& folder) { folder.set_best(200); }, {{200, 100}, {200, 200}}, {1}},
    {"Prune", [](CheckpointFolder& folder) { folder.prune(1); }, {{200, 100}}, {1}},
    {"SaveSetBestPrune",
     [](CheckpointFolder& folder) {
       save_sample(folder, 300);
       folder.set_best(300);
       folder.prune(1);
     },
     {{200, 100}, {300, 100}, {300, 300}},
     {1}},
};

// A run with checkpoints 50, 100 (best) and 200 (last).
class ExistingRun {
 public:
  ExistingRun() {
    for (const std::int64_t step : {50, 100, 200}) save_sample(folder, step);
    folder.set_best(100);
    start = files.operations();
  }
  MemoryFileSystem files;
  CheckpointFolder folder{files, kCheckpoints};
  std::size_t start;
};

// Everything that calls itself a checkpoint opens whole, and last and best are old or new.
void expect_whole(MemoryFileSystem& files, const Scenario& scenario) {
  const CheckpointFolder folder(files, kCheckpoints);
  for (const std::int64_t step : folder.steps()) {
    try {
      const int version = load_sample(folder.load(step), step);
      if (step == 200) {
        EXPECT_TRUE(scenario.versions_of_200.contains(version)) << version;
      } else {
        EXPECT_EQ(version, 1);
      }
    } catch (const DataError& error) {
      ADD_FAILURE() << error.what();
    }
  }
  const std::pair found(folder.last().value_or(-1), folder.best().value_or(-1));
  EXPECT_TRUE(scenario.last_and_best.contains(found)) << "last " << found.first << ", best " << found.second;
}

// The next run goes on as if nothing had happened and leaves no trace of it.
void expect_usable(MemoryFileSystem& files) {
  CheckpointFolder folder(files, kCheckpoints);
  save_sample(folder, 400);
  folder.set_best(400);
  folder.prune(1);
  EXPECT_EQ(files.list(kCheckpoints), (std::vector<std::string>{"400", "best", "last"}));
  EXPECT_EQ(load_sample(load_checkpoint(files, std::string(kCheckpoints) + "/last"), 400), 1);
}

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
      expect_whole(*survivor, GetParam());
      expect_usable(*survivor);
      ++replayed;
    }
    if (!crashed) break;
    ASSERT_LT(stop, 200u);
  }
  EXPECT_GT(replayed, 100u);
}

// A second crash, while the next run cleans up after the first.
TEST_P(CheckpointCrashTest, ACrashDuringTheRecoveryIsNoWorse) {
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
      expect_whole(*second_survivor, GetParam());
      expect_usable(*second_survivor);
      if (!crashed_again) break;
      ASSERT_LT(second, 200u);
    }
    if (!crashed) break;
  }
}

enum class Fault { kFullFromHere, kReadOnlyFromHere, kOneFailure };

TEST_P(CheckpointCrashTest, AfterAFailureAtAnyOperationOlderCheckpointsAreValid) {
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
      expect_whole(run.files, GetParam());
      run.files.heal();
      expect_usable(run.files);
      if (!reached) break;
      EXPECT_TRUE(failed || fault != Fault::kReadOnlyFromHere);
      ASSERT_LT(stop, 200u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllOperations, CheckpointCrashTest, testing::ValuesIn(kScenarios),
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
