#include "dist/bad_end.h"

#include <signal.h>
#include <unistd.h>

#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/host_name.h"
#include "core/utc_time.h"
#include "dist/signal_safe_text.h"

namespace rn::dist {
namespace {

std::string_view describe_signal(int signal_number) noexcept {
  switch (signal_number) {
    case SIGSEGV:
      return "SIGSEGV (invalid memory access)";
    case SIGBUS:
      return "SIGBUS (memory that is not there: a full /dev/shm or a truncated file)";
    case SIGFPE:
      return "SIGFPE (arithmetic error)";
    case SIGILL:
      return "SIGILL (an instruction this processor does not have)";
    case SIGABRT:
      return "SIGABRT (abort)";
    default:
      return "a signal";
  }
}

}  // namespace

BadEnd::BadEnd(ProgressBoard& board, const LaunchEnv& env)
    : board_(board),
      world_size_(env.world_size),
      host_json_(nlohmann::json(host_name()).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)) {}

void BadEnd::claim_run_folder(const std::string& run_dir) {
  file_ = FailureFile(run_dir);
  if (several_ranks()) flight_ = FlightFile(run_dir, world_size_);
  has_folder_ = true;
}

FailureReport BadEnd::about_me(ExitCode code, std::string message) const {
  return report_of(board_.mine(), code, std::move(message));
}

std::string BadEnd::words_for(const FailureReport& report) const {
  std::string text = "rn_dist: error";
  if (several_ranks() && report.rank >= 0) text += cat(" on rank ", report.rank);
  return text + ": " + report.message + "\n";
}

bool BadEnd::begin() noexcept { return !ending_.exchange(true); }

void BadEnd::end(const FailureReport& report, ExitCode code, const std::string& words) {
  if (!begin()) {
    while (true) pause();
  }
  board_.mine().failed_code = static_cast<int>(code);
  board_.note_ending();
  if (has_folder_) {
    file_.write(to_json(report));
    flight_.write(board_);
  }
  if (board_.first_to_say(std::hash<std::string>()(report.message))) write_all(STDERR_FILENO, words);
  _exit(static_cast<int>(code));
}

bool BadEnd::record_aftermath() const noexcept {
  if (!has_folder_ || access(file_.path().c_str(), F_OK) != 0) return false;
  flight_.write(board_);
  return true;
}

void BadEnd::end_from_signal(int signal_number, const void* address) noexcept {
  // A fault while ending (or in a second thread): what was written is all there will be.
  if (!begin()) _exit(static_cast<int>(ExitCode::kPeerLost));
  const BoardRow& row = board_.mine();
  const auto code = several_ranks() ? ExitCode::kPeerLost : ExitCode::kFailure;
  const auto phase = static_cast<Phase>(row.phase.load());
  board_.mine().failed_code = static_cast<int>(code);

  SignalSafeText message;
  message << "rank " << std::int64_t{row.rank} << " was ended by " << describe_signal(signal_number);
  if (address) (message << " at address ").put_address(address);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  char time[32];
  format_utc(now.tv_sec, time);
  SignalSafeText json;
  json << "{\n  \"code\": " << std::int64_t{static_cast<int>(code)}
       << ",\n  \"rank\": " << std::int64_t{row.rank} << ",\n  \"host\": " << host_json_
       << ",\n  \"pid\": " << std::int64_t{row.pid} << ",\n  \"phase\": \"" << name_of(phase)
       << "\",\n  \"step\": " << row.step.load() << ",\n  \"collective\": " << row.collective.load()
       << ",\n  \"message\": \"" << message.view() << "\",\n  \"time\": \"" << time << "\"\n}\n";
  if (has_folder_) {
    file_.write(json.view());
    flight_.write(board_);
  }
  SignalSafeText words;
  words << "rn_dist: error: " << message.view() << "\n";
  write_all(STDERR_FILENO, words.view());
  if (several_ranks()) _exit(static_cast<int>(code));
}

}  // namespace rn::dist
