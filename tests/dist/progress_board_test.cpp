#include "dist/progress_board.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "core/error.h"
#include "dist/process_state.h"

namespace rn::dist {
namespace {

LaunchEnv rank_of(int rank, int size, const std::string& job) {
  LaunchEnv env;
  env.launched = true;
  env.rank = env.local_rank = rank;
  env.world_size = env.local_size = size;
  env.job = job;
  return env;
}

std::string new_job() {
  static int jobs = 0;
  return cat("test.", getpid(), ".", ++jobs);
}

std::string memory_name(const std::string& job) { return cat("/dev/shm/rn_dist.", getuid(), ".", job); }

bool exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

template <typename Condition>
bool eventually(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < limit) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return condition();
}

// Runs `body` in a child process; its value is the exit code, 99 for an exception.
pid_t in_child(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  int code = 99;
  try {
    code = body();
  } catch (...) {
  }
  _exit(code);
}

int exit_code_of(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(ProgressBoardTest, ARunOfOneRankHasAPrivateBoard) {
  ProgressBoard first{LaunchEnv{}}, second{LaunchEnv{}};  // two runs at once on one node
  EXPECT_EQ(first.rows(), 1);
  EXPECT_EQ(first.mine().pid, getpid());
  EXPECT_EQ(first.mine().rank, 0);
  EXPECT_EQ(first.mine().step, -1);
  first.begin_step(7);
  EXPECT_EQ(first.mine().step, 7);
  EXPECT_EQ(second.mine().step, -1);
}

TEST(ProgressBoardTest, EnterMovesPhaseAndSince) {
  ProgressBoard board{LaunchEnv{}};
  const auto before = board.mine().since_ns.load();
  board.enter(Phase::kEval);
  EXPECT_EQ(static_cast<Phase>(board.mine().phase.load()), Phase::kEval);
  EXPECT_GT(board.mine().since_ns.load(), before);
  board.begin_step(3);
  EXPECT_EQ(static_cast<Phase>(board.mine().phase.load()), Phase::kStep);
  EXPECT_THROW((void)board.row(1), InternalError);
}

TEST(ProgressBoardTest, AllProcessesOfANodeSeeOneBoard) {
  for (int repetition = 0; repetition < 10; ++repetition) {  // whoever comes first creates it
    constexpr int kRanks = 5;
    const std::string job = new_job();
    std::vector<pid_t> children;
    for (int rank = 0; rank < kRanks; ++rank) {
      children.push_back(in_child([&, rank] {
        ProgressBoard board(rank_of(rank, kRanks, job));
        board.begin_step(100 + rank);
        // Every rank waits until it sees the others' steps, so none leaves early.
        for (int other = 0; other < kRanks; ++other) {
          if (!eventually([&] { return board.row(other).step == 100 + other; })) return 10 + other;
          if (board.row(other).rank != other || board.row(other).pid == 0) return 30 + other;
        }
        board.mine().collective = 1;
        for (int other = 0; other < kRanks; ++other) {
          if (!eventually([&] { return board.row(other).collective == 1; })) return 20 + other;
        }
        return 0;
      }));
    }
    for (const pid_t child : children) EXPECT_EQ(exit_code_of(child), 0);
    EXPECT_FALSE(exists(memory_name(job)));
  }
}

TEST(ProgressBoardTest, TheNameGoesWhenTheCreatorUnlinksAndTheBoardStays) {
  const std::string job = new_job();
  ProgressBoard first(rank_of(0, 2, job));
  ProgressBoard second(rank_of(1, 2, job));
  EXPECT_TRUE(exists(memory_name(job)));
  second.unlink();
  EXPECT_TRUE(exists(memory_name(job))) << "only its creator removes the name";
  first.unlink();
  EXPECT_FALSE(exists(memory_name(job)));
  second.mine().failed_code = 4;
  EXPECT_EQ(first.row(1).failed_code, 4);
}

TEST(ProgressBoardTest, ALeftoverOfADeadJobIsReplaced) {
  const std::string job = new_job();
  EXPECT_EQ(exit_code_of(in_child([&] {
              auto* board = new ProgressBoard(rank_of(0, 2, job));  // never destroyed: the job was killed
              board->mine().failed_code = 9;
              return 0;
            })),
            0);
  ASSERT_TRUE(exists(memory_name(job)));
  ProgressBoard second(rank_of(1, 2, job));  // comes before rank 0
  EXPECT_EQ(second.row(0).failed_code, 0);
  ProgressBoard first(rank_of(0, 2, job));
  first.begin_step(5);
  EXPECT_EQ(second.row(0).step, 5);
}

TEST(ProgressBoardTest, ManyRanksFindingALeftoverStillMeet) {
  for (int repetition = 0; repetition < 10; ++repetition) {
    constexpr int kRanks = 4;
    const std::string job = new_job();
    EXPECT_EQ(exit_code_of(in_child([&] {
                new ProgressBoard(rank_of(0, kRanks, job));
                return 0;
              })),
              0);
    std::vector<pid_t> children;
    for (int rank = 0; rank < kRanks; ++rank) {
      children.push_back(in_child([&, rank] {
        ProgressBoard board(rank_of(rank, kRanks, job));
        for (int other = 0; other < kRanks; ++other) {
          if (!eventually([&] { return board.row(other).pid != 0; })) return 10 + other;
        }
        board.mine().collective = 1;
        for (int other = 0; other < kRanks; ++other) {
          if (!eventually([&] { return board.row(other).collective == 1; })) return 20 + other;
        }
        return 0;
      }));
    }
    for (const pid_t child : children) EXPECT_EQ(exit_code_of(child), 0) << "repetition " << repetition;
  }
}

TEST(ProgressBoardTest, ALeftoverThatWasNeverFilledIsReplaced) {
  const std::string job = new_job();
  const int fd = open(memory_name(job).c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
  ASSERT_GE(fd, 0);
  close(fd);
  const ProgressBoard board(rank_of(0, 2, job));
  EXPECT_EQ(board.mine().pid, getpid());
}

TEST(ProgressBoardTest, ARowOfALivingProcessIsNotTaken) {
  const std::string job = new_job();
  const ProgressBoard board(rank_of(0, 2, job));
  EXPECT_THROW(ProgressBoard{rank_of(0, 2, job)}, EnvironmentError);
}

TEST(ProgressBoardTest, WhatRanksSayAlikeIsSaidOnce) {
  const std::string job = new_job();
  ProgressBoard first(rank_of(0, 2, job)), second(rank_of(1, 2, job));
  EXPECT_TRUE(first.first_to_say(0));
  EXPECT_FALSE(second.first_to_say(0));
  EXPECT_TRUE(second.first_to_say(77)) << "another text is news";
}

TEST(ProcessStateTest, TellsRunningStoppedAndGone) {
  EXPECT_EQ(process_state(getpid()), ProcessState::kRunning);
  const pid_t child = in_child([] {
    while (true) pause();
    return 0;
  });
  EXPECT_EQ(process_state(child), ProcessState::kRunning);
  kill(child, SIGSTOP);
  EXPECT_TRUE(eventually([&] { return process_state(child) == ProcessState::kStopped; }));
  kill(child, SIGKILL);
  EXPECT_TRUE(eventually([&] { return process_state(child) == ProcessState::kGone; })) << "a zombie is gone";
  EXPECT_EQ(exit_code_of(child), 128 + SIGKILL);
  EXPECT_EQ(process_state(child), ProcessState::kGone);
}

}  // namespace
}  // namespace rn::dist
