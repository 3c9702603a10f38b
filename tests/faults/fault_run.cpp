#include "fault_run.h"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "core/error.h"
#include "dist/flight_analysis.h"
#include "dist/flight_log.h"
#include "dist/monotonic_clock.h"

namespace rn::faults {
namespace {

namespace fs = std::filesystem;
constexpr double kNobodyLeftSeconds = 5;

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void expect_nobody_left(const std::string& run_dir) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(kNobodyLeftSeconds);
  std::vector<int> left = processes_of(run_dir);
  while (!left.empty() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    left = processes_of(run_dir);
  }
  for (const int pid : left) {
    ADD_FAILURE() << "process " << pid << " outlives the run: " << content_of(cat("/proc/", pid, "/cmdline"));
    kill(pid, SIGKILL);
  }
}

// When the fault came: the first "rn_fault: ... at NANOSECONDS" that a rank printed.
std::int64_t fault_time(const std::string& output) {
  const auto mark = output.find("rn_fault: ");
  if (mark == std::string::npos) return -1;
  const auto at = output.find(" at ", mark);
  return at == std::string::npos ? -1 : std::atoll(output.c_str() + at + 4);
}

}  // namespace

std::vector<int> processes_of(const std::string& run_dir) {
  std::vector<int> found;
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (content_of(entry->path() / "cmdline").find(run_dir) == std::string::npos) continue;
    const std::string stat = content_of(entry->path() / "stat");
    const auto state = stat.rfind(") ");
    if (state != std::string::npos && stat[state + 2] != 'Z') found.push_back(std::stoi(name));
  }
  return found;
}

FaultRun run_with_fault(const std::vector<std::string>& command, const std::string& setting,
                        const std::string& folder, const std::string& run_dir) {
  std::vector<std::string> words = {"env", "RN_FAULT=" + setting};
  words.insert(words.end(), command.begin(), command.end());
  FaultRun run;
  run.result = app_testing::Process(words, folder).wait();
  const std::int64_t ended = dist::monotonic_ns();
  const std::int64_t fault = fault_time(run.result.text());
  if (fault > 0) run.seconds_after_fault = static_cast<double>(ended - fault) * 1e-9;
  expect_nobody_left(run_dir);
  const fs::path failure = fs::path(folder) / run_dir / "failure.json";
  if (fs::exists(failure)) run.failure = nlohmann::json::parse(content_of(failure), nullptr, false);
  return run;
}

std::string flight_words(const std::string& run_dir) {
  const auto log = dist::read_flight_log(run_dir);
  return log ? dist::explain(*log) : std::string();
}

}  // namespace rn::faults
