#include "dist/bad_end.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/host_name.h"
#include "core/utc_time.h"

namespace rn::dist {
namespace {

// Text in a fixed buffer, cut where it is full; all of it async-signal-safe.
class SignalSafeText {
 public:
  SignalSafeText& operator<<(std::string_view text) noexcept {
    const std::size_t room = sizeof(text_) - size_;
    const std::size_t taken = text.size() < room ? text.size() : room;
    std::memcpy(text_ + size_, text.data(), taken);
    size_ += taken;
    return *this;
  }
  SignalSafeText& operator<<(std::int64_t value) noexcept {
    if (value < 0) return *this << "-" << -value;
    return number(static_cast<std::uint64_t>(value), 10);
  }
  // No operator: it would take string literals too.
  SignalSafeText& put_address(const void* address) noexcept {
    return (*this << "0x").number(reinterpret_cast<std::uintptr_t>(address), 16);
  }
  std::string_view view() const { return {text_, size_}; }

 private:
  SignalSafeText& number(std::uint64_t value, unsigned base) noexcept {
    char digits[24];
    std::size_t at = sizeof(digits);
    do {
      digits[--at] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value > 0);
    return *this << std::string_view(digits + at, sizeof(digits) - at);
  }

  char text_[1536];
  std::size_t size_ = 0;
};

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

void print(std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

BadEnd::BadEnd(ProgressBoard& board, const LaunchEnv& env)
    : board_(board),
      several_ranks_(env.world_size > 1),
      host_json_(nlohmann::json(host_name()).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)) {}

void BadEnd::claim_run_folder(const std::string& run_dir) {
  file_ = FailureFile(run_dir);
  has_folder_ = true;
}

FailureReport BadEnd::about_me(ExitCode code, std::string message) const {
  return report_of(board_.mine(), code, std::move(message));
}

std::string BadEnd::words_for(const FailureReport& report) const {
  std::string text = "rn_dist: error";
  if (several_ranks_ && report.rank >= 0) text += cat(" on rank ", report.rank);
  return text + ": " + report.message + "\n";
}

bool BadEnd::begin() noexcept { return !ending_.exchange(true); }

void BadEnd::end(const FailureReport& report, ExitCode code, const std::string& words) {
  if (!begin()) {
    while (true) pause();
  }
  board_.mine().failed_code = static_cast<int>(code);
  board_.enter(Phase::kEnding);
  if (has_folder_) file_.write(to_json(report));
  if (board_.first_to_say(std::hash<std::string>()(report.message))) print(words);
  _exit(static_cast<int>(code));
}

void BadEnd::end_from_signal(int signal_number, const void* address) noexcept {
  // A fault while ending (or in a second thread): what was written is all there will be.
  if (!begin()) _exit(static_cast<int>(ExitCode::kPeerLost));
  const BoardRow& row = board_.mine();
  const auto code = several_ranks_ ? ExitCode::kPeerLost : ExitCode::kFailure;
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
  if (has_folder_) file_.write(json.view());
  SignalSafeText words;
  words << "rn_dist: error: " << message.view() << "\n";
  print(words.view());
  if (several_ranks_) _exit(static_cast<int>(code));
}

}  // namespace rn::dist
