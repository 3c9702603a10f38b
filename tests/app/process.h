// Started programs, for tests: their exit code, what they print, and signals to them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace rn::app_testing {

struct Result {
  int code = -1;    // exit code; 128 + signal where one ended the process
  std::string out;  // standard output
  std::string err;  // standard error
  std::string text() const { return out + err; }
};

// A running program with its output in files under `folder`, which is its working folder too. Ended with
// SIGKILL when it outlives this object.
class Process {
 public:
  Process(const std::vector<std::string>& command, const std::string& folder);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  bool is_running();
  void send(int signal_number) const;
  // Waits for the end; kills what takes longer and then fails the test.
  Result wait(std::chrono::seconds limit = std::chrono::seconds(120));

 private:
  pid_t pid_ = -1;
  bool reaped_ = false;
  int status_ = 0;
  std::string out_path_, err_path_;
};

// "mpirun ... -np N" in front of `command`; as it stands for 0 ranks.
std::vector<std::string> under_mpirun(int ranks, std::vector<std::string> command);

}  // namespace rn::app_testing
