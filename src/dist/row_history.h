// What the rows of the board did over time: which of them stands still, and for how long.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dist/progress_board.h"
#include "dist/row_snapshot.h"

namespace rn::dist {

// The rows of this node.
class RowHistory {
 public:
  explicit RowHistory(int rows) : rows_(static_cast<std::size_t>(rows)) {}

  // Takes the next look; `elapsed` seconds after the one before. A process that was itself stopped, or a
  // machine that slept, finds a long gap that says nothing about the others, so a look counts for one second
  // at most.
  std::span<const RowSnapshot> look(const ProgressBoard& board, double elapsed);

 private:
  std::vector<RowSnapshot> rows_;
  std::vector<bool> seen_alive_ = std::vector<bool>(rows_.size());
};

// The rows of other nodes, as they were last heard.
class RemoteHistory {
 public:
  // The same. Ranks of which nothing was heard yet are left out.
  std::span<const RowSnapshot> look(const ProgressBoard& board, double elapsed);

 private:
  struct Rank {
    RowSnapshot row;
    std::uint32_t report = 0;
    double silent_seconds = 0;
  };
  std::vector<Rank> ranks_;  // by global rank
  std::vector<RowSnapshot> heard_;
};

}  // namespace rn::dist
