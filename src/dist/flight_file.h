// <run_dir>/flight/<host>.jsonl: what the ranks of a node last did, written on a bad end.
//
// Lines of JSON: a header {format, version, host, world_size, rows, now_ns, time}; for each rank its row on
// the board; after it a line per collective of its flight ring. `..._ns` are of the node's monotonic clock.
// Read by flight_log.h.
#pragma once

#include <string>

#include "dist/progress_board.h"

namespace rn::dist {

class FlightFile {
 public:
  FlightFile() = default;  // there is no file: write() does nothing
  FlightFile(const std::string& run_dir, int world_size);

  // Publishes what the board shows unless this node has said it already: of several ranks that end, the first
  // is nearest to the fault. Makes the folder `flight`, does not follow a link in its place, and leaves the
  // file whole or not at all. Async-signal-safe, any thread, any process.
  bool write(const ProgressBoard& board) const noexcept;

 private:
  bool fill(int file, const ProgressBoard& board) const noexcept;

  std::string folder_;
  std::string name_;
  std::string temporary_;  // name while it is written
  std::string host_json_;  // prepared, since quoting is not async-signal-safe
  int world_size_ = 1;
};

}  // namespace rn::dist
