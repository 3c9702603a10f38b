#include "process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace rn::app_testing {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const std::string& folder) {
  static std::atomic<int> started{0};
  const std::string prefix = folder + "/.process" + std::to_string(started.fetch_add(1));
  out_path_ = prefix + ".out";
  err_path_ = prefix + ".err";
  std::vector<char*> words;
  for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ > 0) return;
  dup2(open(out_path_.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644), STDOUT_FILENO);
  dup2(open(err_path_.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644), STDERR_FILENO);
  dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
  if (chdir(folder.c_str()) != 0) _exit(126);
  unsetenv("RN_CIFAR10_DIR");
  setenv("OMP_NUM_THREADS", "1", 1);
  execvp(words.front(), words.data());
  _exit(127);
}

Process::~Process() {
  if (!is_running()) return;
  send(SIGKILL);
  waitpid(pid_, &status_, 0);
}

bool Process::is_running() {
  if (!reaped_ && waitpid(pid_, &status_, WNOHANG) == pid_) reaped_ = true;
  return !reaped_;
}

void Process::send(int signal_number) const { kill(pid_, signal_number); }

Result Process::wait(std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (is_running()) {
    if (std::chrono::steady_clock::now() > end) {
      send(SIGKILL);
      waitpid(pid_, &status_, 0);
      reaped_ = true;
      ADD_FAILURE() << "a program did not end within " << limit.count() << " s";
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return {WIFSIGNALED(status_) ? 128 + WTERMSIG(status_) : WEXITSTATUS(status_), content_of(out_path_),
          content_of(err_path_)};
}

std::vector<std::string> under_mpirun(int ranks, std::vector<std::string> command) {
  if (ranks == 0) return command;
  std::vector<std::string> words = {RN_MPIEXEC, "--allow-run-as-root", "--oversubscribe", "--bind-to", "none",
                                    "-np",      std::to_string(ranks)};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

}  // namespace rn::app_testing
