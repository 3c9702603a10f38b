#include "dist/failure_report.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

namespace rn::dist {
namespace {

bool write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool create_and_fill(const char* path, std::string_view text) noexcept {
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  const bool written = write_all(fd, text) && fsync(fd) == 0;
  close(fd);
  if (!written) ::unlink(path);
  return written;
}

// mkdir -p, without memory allocation.
void make_directories(const std::string& path) noexcept {
  char part[PATH_MAX];
  if (path.size() >= sizeof(part)) return;
  for (std::size_t i = 1; i <= path.size(); ++i) {
    if (i < path.size() && path[i] != '/') continue;
    std::memcpy(part, path.data(), i);
    part[i] = '\0';
    mkdir(part, 0777);
  }
}

// Writes the decimal digits of `value`, padded with zeros to `width`.
void put_digits(char* at, std::int64_t value, int width) {
  for (int i = width - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

FailureReport report_of(const BoardRow& row, ExitCode code, std::string message) {
  FailureReport report;
  report.code = code;
  report.rank = row.rank.load();
  report.pid = row.pid.load();
  report.phase = static_cast<Phase>(row.phase.load());
  report.step = row.step.load();
  report.collective = row.collective.load();
  report.message = std::move(message);
  return report;
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "?";
}

void format_utc(std::int64_t seconds, char (&text)[32]) {
  // gmtime_r is not async-signal-safe. Days to a date: Hinnant, "chrono-compatible low-level date
  // algorithms".
  const std::int64_t days = seconds / 86400, second = seconds % 86400;
  const std::int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
  const std::int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const std::int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  const std::int64_t month = mp < 10 ? mp + 3 : mp - 9;
  std::memcpy(text, "0000-00-00T00:00:00Z", 21);
  put_digits(text, yoe + era * 400 + (month <= 2 ? 1 : 0), 4);
  put_digits(text + 5, month, 2);
  put_digits(text + 8, doy - (153 * mp + 2) / 5 + 1, 2);
  put_digits(text + 11, second / 3600, 2);
  put_digits(text + 14, second / 60 % 60, 2);
  put_digits(text + 17, second % 60, 2);
}

std::string to_json(const FailureReport& report) {
  char time[32];
  format_utc(std::time(nullptr), time);
  nlohmann::ordered_json json;
  json["code"] = static_cast<int>(report.code);
  json["rank"] = report.rank;
  json["host"] = host_name();
  json["pid"] = report.pid;
  json["phase"] = name_of(report.phase);
  json["step"] = report.step;
  json["collective"] = report.collective;
  json["message"] = report.message;
  json["time"] = time;
  // Messages quote paths and keys, which need not be UTF-8.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

FailureFile::FailureFile(const std::string& run_dir)
    : directory_(run_dir),
      path_(run_dir.empty() ? "" : run_dir + "/failure.json"),
      temporary_(cat(run_dir, "/.failure.", host_name(), ".", getpid(), ".")) {}

bool FailureFile::write(std::string_view json) const noexcept {
  if (path_.empty()) return false;
  static std::atomic<int> writes{0};
  char temporary[PATH_MAX];
  if (temporary_.size() + 8 > sizeof(temporary)) return false;
  std::memcpy(temporary, temporary_.data(), temporary_.size());
  put_digits(temporary + temporary_.size(), writes.fetch_add(1), 4);
  temporary[temporary_.size() + 4] = '\0';

  make_directories(directory_);
  if (!create_and_fill(temporary, json)) return false;
  bool first = link(temporary, path_.c_str()) == 0;
  if (!first && errno != EEXIST) {
    // A file system without hard links: exclusive creation, which readers may see half written for a moment.
    first = create_and_fill(path_.c_str(), json);
  }
  ::unlink(temporary);
  return first;
}

void remove_failure_report(const std::string& run_dir) {
  const std::string path = run_dir + "/failure.json";
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
    throw Error(ExitCode::kFailure,
                cat("cannot remove ", path, " of an earlier run: ", std::strerror(errno)));
  }
}

}  // namespace rn::dist
