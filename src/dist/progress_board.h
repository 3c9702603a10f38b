// The progress board: one row per rank of this node in shared memory, readable whatever state a rank is in.
//
// Every rank writes its own row (relaxed atomics, no locks); watchdogs, reports and the other ranks' fault
// handling read all rows. Made before MPI starts, named by the launcher's job, unlinked once all ranks are
// attached.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "dist/launch_env.h"

namespace rn::dist {

// kEnding: leaving, well (in finish) or badly (failed_code is then set). kFinished: gone well, the process
// may vanish.
enum class Phase : std::uint32_t { kInit, kData, kStep, kEval, kCheckpoint, kFinished, kEnding };
std::string_view name_of(Phase phase);

// One rank's row, written by its rank only. All-zero bytes plus the initial values below are an unattached
// row.
struct alignas(128) BoardRow {
  std::atomic<std::int32_t> pid{0};    // 0: not attached yet
  std::atomic<std::int32_t> rank{-1};  // global rank
  std::atomic<std::uint32_t> phase{0};
  std::atomic<std::int64_t> step{-1};
  std::atomic<std::int64_t> since_ns{0};    // CLOCK_MONOTONIC when phase or step last changed
  std::atomic<std::int64_t> collective{0};  // number of the collective last started
  std::atomic<std::int64_t> finished_collective{0};
  std::atomic<std::uint32_t> collective_kind{0};
  std::atomic<std::int64_t> collective_bytes{0};
  std::atomic<std::int32_t> failed_code{0};  // exit code of a rank that ends badly, before it leaves
};

class ProgressBoard {
 public:
  // Attaches this process's row; creates the segment if it is the first of the node. A leftover of a dead job
  // of the same name is replaced. A run of one rank on its node gets private memory, without a name. Throws
  // EnvironmentError where the node has no room or no access, or the row is taken by a living process.
  explicit ProgressBoard(const LaunchEnv& env);
  ~ProgressBoard();  // the creator unlinks what is still linked
  ProgressBoard(const ProgressBoard&) = delete;
  ProgressBoard& operator=(const ProgressBoard&) = delete;

  void unlink();  // once all ranks of the node are attached; by the creator only
  int rows() const;
  BoardRow& row(int local_rank) const;  // 0 <= local_rank < rows()
  BoardRow& mine() const;
  int local_rank() const { return local_rank_; }

  void enter(Phase phase);             // sets phase and since; any thread, signal handlers included
  void begin_step(std::int64_t step);  // phase kStep

  // True for the first caller of the node with this text's hash (and for the callers with other texts): what
  // several ranks have to say alike is then said once.
  bool first_to_say(std::uint64_t hash);

 private:
  struct Segment;
  void attach();
  bool try_create();
  bool try_open();  // false: gone or removed as a leftover; start again
  void map(int fd);
  void unmap();

  Segment* segment_ = nullptr;
  const int rows_;
  const int rank_;
  const int local_rank_;
  const std::size_t bytes_;
  const std::string name_;  // of the shared memory; empty: private
  bool creator_ = false;
};

}  // namespace rn::dist
