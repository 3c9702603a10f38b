#include "io/checkpoint_writer.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <chrono>
#include <future>
#include <thread>

#include "core/log.h"
#include "io/checkpoint_scenarios.h"
#include "support/hooked_file_system.h"
#include "support/memory_file_system.h"
#include "support/point_log.h"
#include "support/temporary_directory.h"

namespace rn::io {
namespace {

using testing_support::HookedFileSystem;
using testing_support::MemoryFileSystem;

// The writer over a disk that stands still in its first sync until it is let go.
class SlowDiskTest : public testing::Test {
 protected:
  ~SlowDiskTest() override { let_go(); }
  void let_go() {
    if (!let_go_) go_.set_value();
    let_go_ = true;
  }

  MemoryFileSystem memory_;
  std::promise<void> reached_, go_;
  bool let_go_ = false;
  bool stopped_before_ = false;  // of the writing thread
  std::function<void()> in_the_write_ = [] {};
  HookedFileSystem files_{memory_, [this](const std::string& operation, const std::string&) {
                            if (operation != "sync" || std::exchange(stopped_before_, true)) return;
                            in_the_write_();
                            reached_.set_value();
                            go_.get_future().wait();
                          }};
  CheckpointFolder folder_{files_, kCheckpoints};
};

TEST_F(SlowDiskTest, TheOwnerGoesOnWhileTheDiskIsSlow) {
  CheckpointWriter writer(folder_, 1);
  EXPECT_FALSE(writer.in_flight());
  writer.start(sample_job(100, true));
  reached_.get_future().wait();
  EXPECT_TRUE(writer.in_flight());
  EXPECT_FALSE(writer.poll());
  EXPECT_THROW(writer.start(sample_job(200, false)), InternalError) << "one at a time";
  let_go();
  const auto outcome = writer.wait();
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->written()) << outcome->error;
  EXPECT_EQ(outcome->step, 100);
  EXPECT_EQ(outcome->bytes, 3 * 4 + 2 * 4 + 4u);
  EXPECT_GT(outcome->seconds, 0);
  EXPECT_FALSE(writer.in_flight());
  EXPECT_FALSE(writer.wait()) << "taken already";
  EXPECT_EQ(folder_.best(), 100);
  EXPECT_EQ(load_sample(folder_.load(100), 100), 1);
}

TEST_F(SlowDiskTest, TheDestructorFinishesTheWrite) {
  {
    CheckpointWriter writer(folder_, 1);
    writer.start(sample_job(100, false));
    reached_.get_future().wait();
    let_go();
  }
  EXPECT_EQ(load_sample(folder_.load(100), 100), 1);
}

TEST_F(SlowDiskTest, TheThreadTakesFaultsButNoRequests) {
  sigset_t mask;
  sigemptyset(&mask);
  in_the_write_ = [&] { pthread_sigmask(SIG_BLOCK, nullptr, &mask); };
  CheckpointWriter writer(folder_, 1);
  writer.start(sample_job(100, false));
  reached_.get_future().wait();
  let_go();
  ASSERT_TRUE(writer.wait()->written());
  for (const int request : {SIGTERM, SIGINT, SIGUSR1, SIGXFSZ}) EXPECT_TRUE(sigismember(&mask, request));
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGABRT}) EXPECT_FALSE(sigismember(&mask, fault));
  sigset_t ours;
  pthread_sigmask(SIG_BLOCK, nullptr, &ours);
  EXPECT_FALSE(sigismember(&ours, SIGTERM)) << "the owner takes them as before";
}

TEST(CheckpointWriterTest, PollTakesTheOutcomeOnceTheWriteHasEnded) {
  MemoryFileSystem files;
  CheckpointFolder folder(files, kCheckpoints);
  CheckpointWriter writer(folder, 1);
  EXPECT_FALSE(writer.poll());
  writer.start(sample_job(100, false));
  std::optional<CheckpointOutcome> outcome;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!(outcome = writer.poll()) && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->written()) << outcome->error;
  EXPECT_FALSE(writer.poll());
}

TEST(CheckpointWriterTest, TheMemoryIsLetGoOnceItIsWritten) {
  MemoryFileSystem files;
  CheckpointFolder folder(files, kCheckpoints);
  CheckpointWriter writer(folder, 1);
  auto job = sample_job(100, false);
  const std::weak_ptr<const void> memory = job.memory;
  writer.start(std::move(job));
  ASSERT_TRUE(writer.wait()->written());
  EXPECT_TRUE(memory.expired());
}

TEST(CheckpointWriterTest, OlderOnesGoAfterTheNewOneStands) {
  MemoryFileSystem files;
  make_existing_run(files, kCheckpoints);
  CheckpointFolder folder(files, kCheckpoints);
  CheckpointWriter writer(folder, /*keep=*/2);
  writer.start(sample_job(300, true));
  ASSERT_TRUE(writer.wait()->written());
  EXPECT_EQ(folder.steps(), (std::vector<std::int64_t>{200, 300}));
  EXPECT_EQ(folder.best(), 300);
  EXPECT_EQ(folder.last(), 300);
}

struct DiskFault {
  const char* name;
  void (*apply)(MemoryFileSystem&, std::size_t operation);
  const char* reason;
};

class CheckpointWriterFaultTest : public testing::TestWithParam<DiskFault> {
 protected:
  CheckpointWriterFaultTest() { init_logging(LogLevel::kError, 0, 1); }  // not hundreds of warnings
  ~CheckpointWriterFaultTest() override { init_logging(LogLevel::kInfo, 0, 1); }
};

TEST_P(CheckpointWriterFaultTest, IsAnOutcomeThatLeavesOlderOnesAndLaterOnesWork) {
  std::size_t failures = 0;
  for (std::size_t stop = 0;; ++stop) {
    SCOPED_TRACE(testing::Message() << "operation " << stop);
    MemoryFileSystem files;
    make_existing_run(files, kCheckpoints);
    CheckpointFolder folder(files, kCheckpoints);
    CheckpointWriter writer(folder, /*keep=*/1);
    const std::size_t operation = files.operations() + stop;
    GetParam().apply(files, operation);
    writer.start(sample_job(300, true));
    const auto outcome = writer.wait();
    ASSERT_TRUE(outcome);
    expect_whole(files, kCheckpoints, {"", {}, {{200, 100}, {300, 100}, {300, 300}}, {1}});
    if (!outcome->written()) {
      ++failures;
      EXPECT_EQ(outcome->code, ExitCode::kFailure);
      EXPECT_NE(outcome->error.find(GetParam().reason), std::string::npos) << outcome->error;
      EXPECT_EQ(load_sample(folder.load(200), 200), 1) << "an older one went without a newer one";
    } else {
      EXPECT_EQ(folder.best(), 300);
    }
    const bool reached = files.operations() > operation;
    files.heal();
    writer.start(sample_job(350, true));
    ASSERT_TRUE(writer.wait()->written());
    expect_usable(files, kCheckpoints);
    if (!reached) break;
    ASSERT_LT(stop, 200u);
  }
  EXPECT_GT(failures, 10u);
  testing_support::log_point({{"points", failures}});
}

INSTANTIATE_TEST_SUITE_P(
    Disk, CheckpointWriterFaultTest,
    testing::Values(DiskFault{"Full", [](MemoryFileSystem& f, std::size_t at) { f.fill_disk_at(at); },
                              "the disk is full"},
                    DiskFault{"ReadOnly",
                              [](MemoryFileSystem& f, std::size_t at) { f.make_read_only_at(at); },
                              "read-only"},
                    DiskFault{"OverQuota",
                              [](MemoryFileSystem& f, std::size_t at) { f.fail_once_at(at, EDQUOT); },
                              "your disk quota is used up"},
                    DiskFault{"Broken", [](MemoryFileSystem& f, std::size_t at) { f.fail_once_at(at, EIO); },
                              "input/output error"},
                    DiskFault{"GoneFromTheNetwork",
                              [](MemoryFileSystem& f, std::size_t at) { f.fail_once_at(at, ESTALE); },
                              "the network file system lost the file"}),
    [](const auto& instance) { return std::string(instance.param.name); });

// What the disk reads back is not what was written: of a file of tensors, of the manifest, by one bit.
TEST(CheckpointWriterTest, ADiskThatLiesCostsNoOlderCheckpoint) {
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "manifest.json"}) {
    for (const bool cut : {false, true}) {
      MemoryFileSystem memory;
      make_existing_run(memory, kCheckpoints);
      HookedFileSystem files(memory, [&](const std::string& operation, const std::string& path) {
        if (operation != "close" || !path.ends_with(file)) return;
        auto& bytes = memory.content(path);
        if (cut) {
          bytes.pop_back();
        } else {
          bytes[bytes.size() / 2] ^= std::byte{4};
        }
      });
      CheckpointFolder folder(files, kCheckpoints);
      CheckpointWriter writer(folder, /*keep=*/1);
      writer.start(sample_job(300, true));
      const auto outcome = writer.wait();
      ASSERT_TRUE(outcome);
      EXPECT_NE(outcome->error.find("reads back differently"), std::string::npos) << outcome->error;
      EXPECT_NE(outcome->error.find(file), std::string::npos) << outcome->error;
      EXPECT_EQ(outcome->code, ExitCode::kFailure);
      EXPECT_EQ(memory.list(kCheckpoints), (std::vector<std::string>{"100", "200", "50", "best", "last"}));
      expect_whole(memory, kCheckpoints, {"", {}, {{200, 100}}, {1}});
    }
  }
}

// For the thread sanitizer as well: the const members of the folder beside a writer that saves and prunes.
TEST(CheckpointWriterTest, ReadersMeanwhileFindTheOldOrTheNew) {
  const testing_support::TemporaryDirectory directory;
  CheckpointFolder folder(posix_file_system(), directory / "checkpoints");
  CheckpointWriter writer(folder, /*keep=*/3);
  std::int64_t newest = -1;
  for (std::int64_t step = 0; step < 30; ++step) {
    writer.start(sample_job(step, step % 3 == 0));
    while (true) {
      const auto last = folder.last();
      EXPECT_GE(last.value_or(-1), newest) << "a checkpoint vanished";
      if (last) {
        EXPECT_EQ(load_sample(folder.load(*last), *last), 1);
      }
      if (const auto outcome = writer.poll()) {
        EXPECT_TRUE(outcome->written()) << outcome->error;
        break;
      }
    }
    newest = step;
    EXPECT_EQ(folder.last(), step);
  }
  EXPECT_EQ(folder.best(), 27);
}

}  // namespace
}  // namespace rn::io
