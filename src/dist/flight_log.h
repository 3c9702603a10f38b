// Reads what the ranks of a run left in <run_dir>/flight (flight_file.h), whoever may have written it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dist/flight_ring.h"
#include "dist/phase.h"
#include "dist/process_state.h"

namespace rn::dist {

// One rank when its node's record was written.
struct FlightRank {
  int rank = 0;
  int node = 0;  // index into FlightLog::nodes
  int pid = 0;
  ProcessState process = ProcessState::kRunning;
  Phase phase = Phase::kInit;
  std::int64_t step = -1;
  std::int64_t since_ns = 0;               // in this phase
  std::int64_t started = 0;                // number of the collective last started
  std::int64_t finished = 0;               // and last finished
  int failed_code = 0;                     // exit code of a rank that was ending badly
  std::vector<FlightEntry> collectives{};  // by number, the last kFlightEntries

  bool waiting() const { return finished < started; }
  const FlightEntry* find(std::int64_t number) const;  // null: not recorded, or overwritten since
};

struct FlightNode {
  std::string host;
  std::int64_t now_ns = 0;  // by its clock when the record was written
  std::string time;         // UTC
};

struct FlightLog {
  int world_size = 0;
  std::vector<FlightNode> nodes;  // by host
  std::vector<FlightRank> ranks;  // by rank; fewer than world_size where a node wrote no record

  std::int64_t now_ns(const FlightRank& rank) const {
    return nodes[static_cast<std::size_t>(rank.node)].now_ns;
  }
};

// `folder`: a run folder, or the folder `flight` in it. nullopt: it holds no record. Throws DataError with
// file and line for what is damaged, too large, or of another run.
std::optional<FlightLog> read_flight_log(const std::string& folder);

}  // namespace rn::dist
