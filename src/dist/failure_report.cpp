#include "dist/failure_report.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/host_name.h"
#include "core/utc_time.h"
#include "dist/signal_safe_text.h"

namespace rn::dist {
namespace {

bool create_and_fill(const char* path, std::string_view text) noexcept {
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  const bool written = write_all(fd, text) && fsync(fd) == 0;
  close(fd);
  if (!written) ::unlink(path);
  return written;
}

// Writes the decimal digits of `value`, padded with zeros to `width`.
void put_digits(char* at, std::int64_t value, int width) {
  for (int i = width - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

FailureReport report_of(const BoardRow& row, ExitCode code, std::string message) {
  return report_of(snapshot_of(row, /*local_rank=*/0), code, std::move(message));
}

FailureReport report_of(const RowSnapshot& row, ExitCode code, std::string message) {
  FailureReport report;
  report.code = code;
  report.rank = row.rank;
  report.pid = row.pid;
  report.host = row.host.data();
  report.phase = row.phase;
  report.step = row.step;
  report.collective = row.collective;
  report.message = std::move(message);
  return report;
}

std::string to_json(const FailureReport& report) {
  nlohmann::ordered_json json;
  json["code"] = static_cast<int>(report.code);
  json["rank"] = report.rank;
  json["host"] = report.host.empty() ? host_name() : report.host;
  json["pid"] = report.pid;
  json["phase"] = name_of(report.phase);
  json["step"] = report.step;
  json["collective"] = report.collective;
  json["message"] = report.message;
  if (!report.details.empty()) json["details"] = report.details;
  json["time"] = utc_now();
  // Messages quote paths and keys, which need not be UTF-8.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

FailureFile::FailureFile(const std::string& run_dir)
    : path_(run_dir.empty() ? "" : run_dir + "/failure.json"),
      temporary_(cat(run_dir, "/.failure.", host_name(), ".", getpid(), ".")) {}

bool FailureFile::write(std::string_view json) const noexcept {
  if (path_.empty()) return false;
  static std::atomic<int> writes{0};
  char temporary[PATH_MAX];
  if (temporary_.size() + 8 > sizeof(temporary)) return false;
  std::memcpy(temporary, temporary_.data(), temporary_.size());
  put_digits(temporary + temporary_.size(), writes.fetch_add(1), 4);
  temporary[temporary_.size() + 4] = '\0';

  if (!create_and_fill(temporary, json)) return false;
  bool first = link(temporary, path_.c_str()) == 0;
  if (!first && errno != EEXIST) {
    // A file system without hard links: exclusive creation, which readers may see half written for a moment.
    first = create_and_fill(path_.c_str(), json);
  }
  ::unlink(temporary);
  return first;
}

}  // namespace rn::dist
