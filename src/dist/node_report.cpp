#include "dist/node_report.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/tensor_hash.h"
#include "dist/collective.h"
#include "dist/signal_safe_text.h"

namespace rn::dist {
namespace {

constexpr std::uint64_t kMagic = 0x01'73'77'6f'72'2e'6e'72;  // "rn.rows", form 1
constexpr std::size_t kMostRows = 4096;

struct Header {
  std::uint64_t magic = kMagic;
  std::uint64_t run = 0;
  std::int64_t number = 0;
  std::int32_t node = 0;
  std::int32_t last = 0;
  std::uint64_t rows = 0;
  std::uint64_t hash = 0;  // tensor_hash of the rows
};

bool is_sound(const RowSnapshot& row) {
  const auto is_time = [](double seconds) { return std::isfinite(seconds) && seconds >= 0; };
  return row.rank >= 0 && row.pid >= 0 && static_cast<int>(row.phase) >= 0 &&
         static_cast<int>(row.phase) < kPhases && row.collective >= 0 && row.finished_collective >= 0 &&
         row.collective_kind <= static_cast<std::uint32_t>(CollectiveKind::kAllocate) &&
         row.failed_code >= 0 && row.failed_code < 256 && static_cast<int>(row.process) >= 0 &&
         static_cast<int>(row.process) <= static_cast<int>(ProcessState::kGone) &&
         is_time(row.stalled_seconds) && is_time(row.gone_seconds);
}

std::string path_of(const std::string& run_dir, int node) { return cat(run_dir, "/.rows.", node); }

}  // namespace

std::size_t packed_size(std::size_t rows) { return sizeof(Header) + rows * sizeof(RowSnapshot); }

std::vector<std::byte> pack(const NodeReport& report) {
  std::vector<std::byte> bytes(packed_size(report.rows.size()));
  const auto body = std::span(bytes).subspan(sizeof(Header));
  if (!body.empty()) std::memcpy(body.data(), report.rows.data(), body.size());
  const Header header{kMagic,      report.run,         report.number,    report.node,
                      report.last, report.rows.size(), tensor_hash(body)};
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

std::optional<NodeReport> unpack(std::span<const std::byte> bytes) {
  Header header;
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic || header.rows > kMostRows || bytes.size() < packed_size(header.rows)) {
    return std::nullopt;
  }
  const auto body = bytes.subspan(sizeof header, header.rows * sizeof(RowSnapshot));
  if (tensor_hash(body) != header.hash) return std::nullopt;
  NodeReport report{header.run, header.number, header.node, header.last != 0, {}};
  report.rows.resize(header.rows);
  if (!body.empty()) std::memcpy(report.rows.data(), body.data(), body.size());
  for (RowSnapshot& row : report.rows) {
    if (!is_sound(row)) return std::nullopt;
    row.host.back() = '\0';
    for (char& c : row.host) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '\0';
    }
  }
  return report;
}

bool write_node_report(const std::string& run_dir, const NodeReport& report) {
  const std::string path = path_of(run_dir, report.node);
  const std::string temporary = cat(path, ".", getpid());
  ::unlink(temporary.c_str());  // of a process that was killed here
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const auto bytes = pack(report);
  const bool written = write_all(file, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  close(file);
  if (written && rename(temporary.c_str(), path.c_str()) == 0) return true;
  ::unlink(temporary.c_str());
  return false;
}

std::optional<NodeReport> read_node_report(const std::string& run_dir, int node) {
  const int file = open(path_of(run_dir, node).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::vector<std::byte> bytes;
  struct stat status{};
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
      status.st_size <= static_cast<off_t>(packed_size(kMostRows))) {
    bytes.resize(static_cast<std::size_t>(status.st_size));
    if (read(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) bytes.clear();
  }
  close(file);
  auto report = unpack(bytes);
  if (report && report->node != node) return std::nullopt;
  return report;
}

void remove_node_report(const std::string& run_dir, int node) { ::unlink(path_of(run_dir, node).c_str()); }

}  // namespace rn::dist
