#include "dist/flight_log.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>

#include "core/error.h"

namespace rn::dist {
namespace {

namespace fs = std::filesystem;

// Far above what is ever written; below what would hurt.
constexpr std::uintmax_t kLargestFile = std::uintmax_t{128} << 20;
constexpr std::size_t kLongestLine = 4096;
constexpr std::size_t kMostFiles = 4096;
constexpr std::int64_t kMostRanks = 65536;
constexpr std::int64_t kLargest = std::int64_t{1} << 60;

// Fields of one line, each checked.
class Fields {
 public:
  Fields(const std::string& line, std::string where) : where_(std::move(where)) {
    json_ = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json_.is_object()) damaged("is no JSON object");
  }

  [[noreturn]] void damaged(const std::string& what) const {
    throw DataError(cat(where_, " ", what, ": the flight record is damaged"));
  }

  bool has(const char* key) const { return json_.contains(key); }

  std::int64_t integer(const char* key, std::int64_t lowest, std::int64_t highest) const {
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_number_integer()) damaged(cat("has no integer '", key, "'"));
    // Above int64 the library holds unsigned numbers.
    if (found->is_number_unsigned() && found->get<std::uint64_t>() > static_cast<std::uint64_t>(kLargest)) {
      damaged(cat("has a '", key, "' that is too large"));
    }
    const auto value = found->get<std::int64_t>();
    if (value < lowest || value > highest) damaged(cat("has ", key, " ", value));
    return value;
  }

  std::string text(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_string()) damaged(cat("has no text '", key, "'"));
    std::string value = found->get<std::string>();
    // It goes to a terminal.
    for (char& c : value) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    }
    return value;
  }

  // The value of an enumeration that has this name.
  template <typename Enum>
  Enum named(const char* key, Enum last) const {
    const std::string name = text(key);
    for (int i = 0; i <= static_cast<int>(last); ++i) {
      if (name_of(static_cast<Enum>(i)) == name) return static_cast<Enum>(i);
    }
    damaged(cat("has the ", key, " '", name.substr(0, 40), "'"));
  }

 private:
  const std::string where_;
  nlohmann::json json_;
};

FlightRank rank_of(const Fields& fields, int rank, int node) {
  FlightRank row;
  row.rank = rank;
  row.node = node;
  row.pid = static_cast<int>(fields.integer("pid", 0, std::numeric_limits<int>::max()));
  row.process = fields.named("process", ProcessState::kGone);
  row.phase = fields.named("phase", Phase::kEnding);
  row.step = fields.integer("step", -1, kLargest);
  row.since_ns = fields.integer("since_ns", 0, kLargest);
  row.started = fields.integer("started", 0, kLargest);
  row.finished = fields.integer("finished", 0, kLargest);
  row.failed_code = static_cast<int>(fields.integer("failed_code", 0, 255));
  return row;
}

FlightEntry entry_of(const Fields& fields) {
  FlightEntry entry;
  entry.call.number = fields.integer("number", 1, kLargest);
  entry.call.kind = fields.named("kind", CollectiveKind::kAllocate);
  entry.call.bytes = static_cast<std::uint64_t>(fields.integer("bytes", 0, kLargest));
  entry.call.dtype = fields.named("dtype", DType::kF64);
  entry.call.wire = fields.named("wire", DType::kF64);
  entry.call.root = static_cast<std::int32_t>(fields.integer("root", -1, kMostRanks));
  entry.phase = fields.named("phase", Phase::kEnding);
  entry.step = fields.integer("step", -1, kLargest);
  entry.started_ns = fields.integer("started_ns", 0, kLargest);
  entry.finished_ns = fields.integer("finished_ns", 0, kLargest);
  return entry;
}

void read_header(FlightLog& log, const Fields& fields) {
  if (fields.text("format") != "rn_dist flight" || fields.integer("version", 0, kLargest) != 1) {
    fields.damaged("is not the head of a flight record of this version");
  }
  const auto world = static_cast<int>(fields.integer("world_size", 1, kMostRanks));
  if (!log.nodes.empty() && world != log.world_size) {
    fields.damaged(cat("is of a run of ", world, " ranks, another file here of one of ", log.world_size));
  }
  log.world_size = world;
  log.nodes.push_back({fields.text("host"), fields.integer("now_ns", 0, kLargest), fields.text("time")});
}

void read_file(FlightLog& log, const fs::path& path, std::set<int>& seen) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error || size > kLargestFile) {
    throw DataError(cat(path.string(), error ? " cannot be read" : " is too large for a flight record"));
  }
  std::ifstream file(path, std::ios::binary);
  std::array<char, kLongestLine> line;
  int number = 0;
  while (file.getline(line.data(), line.size())) {
    const Fields fields(line.data(), cat(path.string(), ":", ++number));
    if (number == 1) {
      read_header(log, fields);
      continue;
    }
    const auto rank = static_cast<int>(fields.integer("rank", 0, log.world_size - 1));
    if (!fields.has("number")) {
      if (!seen.insert(rank).second) fields.damaged(cat("describes rank ", rank, " again"));
      log.ranks.push_back(rank_of(fields, rank, static_cast<int>(log.nodes.size()) - 1));
      continue;
    }
    if (number == 2 || log.ranks.back().rank != rank) fields.damaged("stands under another rank");
    auto& collectives = log.ranks.back().collectives;
    if (collectives.size() == static_cast<std::size_t>(kFlightEntries)) fields.damaged("is one too many");
    collectives.push_back(entry_of(fields));
  }
  if (!file.eof()) {
    throw DataError(cat(path.string(), ":", number + 1, " is too long: the flight record is damaged"));
  }
  if (number == 0) throw DataError(cat(path.string(), " is empty: the flight record is damaged"));
}

}  // namespace

const FlightEntry* FlightRank::find(std::int64_t number) const {
  const auto found =
      std::lower_bound(collectives.begin(), collectives.end(), number,
                       [](const FlightEntry& entry, std::int64_t n) { return entry.call.number < n; });
  return found != collectives.end() && found->call.number == number ? &*found : nullptr;
}

std::optional<FlightLog> read_flight_log(const std::string& folder) {
  std::error_code error;
  fs::path place = fs::path(folder) / "flight";
  if (!fs::is_directory(place, error)) place = folder;
  if (!fs::is_directory(place, error)) throw DataError(cat(folder, " is no folder"));
  std::vector<fs::path> files;
  for (fs::directory_iterator entry(place, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (name.front() != '.' && name.ends_with(".jsonl") && name != "metrics.jsonl") {
      files.push_back(entry->path());
    }
    if (files.size() > kMostFiles) throw DataError(cat(place.string(), " holds too many flight records"));
  }
  if (error) throw DataError(cat("cannot list ", place.string(), ": ", error.message()));
  if (files.empty()) return std::nullopt;
  std::sort(files.begin(), files.end());

  FlightLog log;
  std::set<int> seen;
  for (const auto& path : files) read_file(log, path, seen);
  std::sort(log.ranks.begin(), log.ranks.end(),
            [](const FlightRank& a, const FlightRank& b) { return a.rank < b.rank; });
  for (FlightRank& rank : log.ranks) {
    std::sort(rank.collectives.begin(), rank.collectives.end(),
              [](const FlightEntry& a, const FlightEntry& b) { return a.call.number < b.call.number; });
  }
  return log;
}

}  // namespace rn::dist
