#include "dist/flight_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/host_name.h"
#include "core/utc_time.h"
#include "dist/judgement.h"
#include "dist/monotonic_clock.h"
#include "dist/process_state.h"
#include "dist/signal_safe_text.h"

namespace rn::dist {
namespace {

std::string safe_file_name(std::string text) {
  for (char& c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' && c != '.') c = '_';
  }
  return text;
}

void put_entry(SignalSafeText& text, int rank, const FlightEntry& entry) noexcept {
  const CollectiveCall& call = entry.call;
  text << "{\"rank\":" << std::int64_t{rank} << ",\"number\":" << call.number << ",\"kind\":\""
       << name_of(call.kind) << "\",\"bytes\":" << static_cast<std::int64_t>(call.bytes) << ",\"dtype\":\""
       << name_of(call.dtype) << "\",\"wire\":\"" << name_of(call.wire)
       << "\",\"root\":" << std::int64_t{call.root} << ",\"step\":" << entry.step << ",\"phase\":\""
       << name_of(entry.phase) << "\",\"started_ns\":" << entry.started_ns
       << ",\"finished_ns\":" << entry.finished_ns << "}\n";
}

void put_row(SignalSafeText& text, const BoardRow& row) noexcept {
  const int pid = row.pid.load();
  const RowSnapshot snapshot = snapshot_of(row, /*local_rank=*/0);
  const ProcessState state = pid == 0 ? ProcessState::kGone : process_state(pid);
  text << "{\"rank\":" << std::int64_t{row.rank.load()} << ",\"pid\":" << std::int64_t{pid}
       << ",\"process\":\"" << name_of(state) << "\",\"phase\":\""
       << name_of(static_cast<Phase>(row.phase.load())) << "\",\"step\":" << row.step.load()
       << ",\"since_ns\":" << row.since_ns.load() << ",\"started\":" << snapshot.collective
       << ",\"finished\":" << snapshot.finished_collective
       << ",\"failed_code\":" << std::int64_t{row.failed_code.load()} << "}\n";
}

}  // namespace

FlightFile::FlightFile(const std::string& run_dir, int world_size)
    : folder_(run_dir + "/flight"),
      name_(safe_file_name(host_name()) + ".jsonl"),
      temporary_(cat(".", name_, ".", getpid())),
      host_json_(nlohmann::json(host_name()).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)),
      world_size_(world_size) {}

bool FlightFile::fill(int file, const ProgressBoard& board) const noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  char time[32];
  format_utc(now.tv_sec, time);
  SignalSafeText text(file);
  text << "{\"format\":\"rn_dist flight\",\"version\":1,\"host\":" << host_json_
       << ",\"world_size\":" << std::int64_t{world_size_} << ",\"rows\":" << std::int64_t{board.rows()}
       << ",\"now_ns\":" << monotonic_ns() << ",\"time\":\"" << time << "\"}\n";
  for (int r = 0; r < board.rows(); ++r) {
    const BoardRow& row = board.row(r);
    if (row.rank.load() < 0) continue;  // never attached
    put_row(text, row);
    FlightEntry entry;
    for (int place = 0; place < kFlightEntries; ++place) {
      if (board.flight(r).read(place, entry)) put_entry(text, row.rank.load(), entry);
    }
  }
  return text.flush();
}

bool FlightFile::write(const ProgressBoard& board) const noexcept {
  if (name_.empty()) return false;
  mkdir(folder_.c_str(), 0777);  // may be there
  const int folder = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return false;
  const int file =
      openat(folder, temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  bool published = false;
  if (file >= 0) {
    published = fill(file, board);
    close(file);
    published = published && linkat(folder, temporary_.c_str(), folder, name_.c_str(), 0) == 0;
    unlinkat(folder, temporary_.c_str(), 0);
  }
  close(folder);
  return published;
}

}  // namespace rn::dist
