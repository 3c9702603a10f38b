// The progress board: one row per rank of this node in shared memory, readable whatever state a rank is in.
//
// Every rank writes its own row (relaxed atomics, no locks); watchdogs, reports and the other ranks' fault handling
// read all rows. Made before MPI starts, named by the launcher's job, unlinked once all ranks are attached.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "dist/launch_env.h"

namespace rn::dist {

enum class Phase : std::uint32_t { kInit, kData, kStep, kEval, kCheckpoint, kFinished, kEnding };
std::string_view name_of(Phase phase);

// One rank's row. Written by its rank only, but for `failed_code`.
struct alignas(128) BoardRow {
  std::atomic<std::int32_t> pid{0};                  // 0: not attached yet
  std::atomic<std::int32_t> rank{-1};                // global rank
  std::atomic<std::uint32_t> phase{0};
  std::atomic<std::int64_t> step{-1};
  std::atomic<std::int64_t> since_ns{0};             // CLOCK_MONOTONIC when phase or step last changed
  std::atomic<std::int64_t> collective{0};           // number of the collective last started
  std::atomic<std::int64_t> finished_collective{0};
  std::atomic<std::uint32_t> collective_kind{0};
  std::atomic<std::int64_t> collective_bytes{0};
  std::atomic<std::int32_t> failed_code{0};          // exit code of a rank that ends badly, before it leaves
};

class ProgressBoard {
 public:
  // Attaches this process's row; creates the segment if it is the first of the node.
  explicit ProgressBoard(const LaunchEnv& env);
  ~ProgressBoard();
  ProgressBoard(const ProgressBoard&) = delete;
  ProgressBoard& operator=(const ProgressBoard&) = delete;

  void unlink();                                     // once all ranks of the node are attached
  int rows() const;
  BoardRow& row(int local_rank) const;
  BoardRow& mine() const;

  void enter(Phase phase);                           // sets phase and since
  void begin_step(std::int64_t step);                // phase kStep

 private:
  struct Segment;
  Segment* segment_ = nullptr;
  std::size_t bytes_ = 0;
  std::string name_;
  const int local_rank_;
};

}  // namespace rn::dist
