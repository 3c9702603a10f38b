// failure.json: what the culprit of a bad end was doing, written once per run whoever notices first.
//
// Of the culprit, not of the writer: {code, rank, host, pid, phase, step, collective, message, details,
// time}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "dist/progress_board.h"
#include "dist/row_snapshot.h"

namespace rn::dist {

struct FailureReport {
  ExitCode code = ExitCode::kFailure;
  int rank = -1;       // -1: not known (a rank that never attached, or one on another node)
  int pid = 0;         // 0: not known
  std::string host{};  // empty: this machine
  Phase phase = Phase::kInit;
  std::int64_t step = -1;       // -1: before the first step
  std::int64_t collective = 0;  // number of the collective last started
  std::string message;
  std::string details;  // of a library's error, e.g. its backtrace; left out of the file where empty
};

// The state of a row as a report.
FailureReport report_of(const BoardRow& row, ExitCode code, std::string message);
FailureReport report_of(const RowSnapshot& row, ExitCode code, std::string message);

// One JSON object and a newline; the time (UTC) is now.
std::string to_json(const FailureReport& report);

// <run_dir>/failure.json.
class FailureFile {
 public:
  explicit FailureFile(const std::string& run_dir);  // empty: there is no file, write() does nothing

  // Publishes `json` unless there is one already; true for the one that did. A folder that is gone stays
  // gone. The file appears whole or not at all. Async-signal-safe, any thread, any process.
  bool write(std::string_view json) const noexcept;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::string temporary_;  // prefix; a number per write is added
};

}  // namespace rn::dist
