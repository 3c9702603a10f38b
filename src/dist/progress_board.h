// The progress board: one row and one flight ring per rank of this node in shared memory, readable whatever
// state a rank is in, and what was heard of the ranks of other nodes (row_exchange.h).
//
// Every rank writes its own row (relaxed atomics, no locks); watchdogs, reports and the other ranks' fault
// handling read all rows. Made before MPI starts, named by the launcher's job, unlinked once all ranks are
// attached.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "dist/collective.h"
#include "dist/flight_ring.h"
#include "dist/launch_env.h"
#include "dist/phase.h"
#include "dist/row_snapshot.h"

namespace rn::dist {

// One rank's row, written by its rank only. All-zero bytes plus the initial values below are an unattached
// row.
struct alignas(128) BoardRow {
  std::atomic<std::int32_t> pid{0};    // 0: not attached yet
  std::atomic<std::int32_t> rank{-1};  // global rank
  std::atomic<std::uint32_t> phase{0};
  std::atomic<std::int64_t> step{-1};
  std::atomic<std::int64_t> since_ns{0};         // CLOCK_MONOTONIC when phase or step last changed
  std::atomic<std::int64_t> collective{0};       // number of the collective last started, on host or device
  std::atomic<std::int64_t> host_collective{0};  // of the host's last started
  std::atomic<std::int64_t> finished_collective{0};  // of the host's last finished
  // How many were queued on this rank's GPU, and how many of them it has done, which it writes here itself:
  // the rank may hang meanwhile (finished_counter.h).
  std::atomic<std::int64_t> device_collectives{0};
  std::atomic<std::int64_t> device_finished{0};
  std::atomic<std::uint32_t> collective_kind{0};
  std::atomic<std::int64_t> collective_bytes{0};
  std::atomic<std::int32_t> failed_code{0};  // exit code of a rank that ends badly, before it leaves
  // Nanoseconds since the start, by phase: spent in it before the current stay, and of that in collectives of
  // the host, which for a rank that comes early are mostly waiting for the others.
  std::array<std::atomic<std::int64_t>, kPhases> phase_ns{};
  std::array<std::atomic<std::int64_t>, kPhases> collective_ns{};
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

  const FlightRing& flight(int local_rank) const;  // 0 <= local_rank < rows()

  void enter(Phase phase);             // sets phase and since; any thread. A fault point of its phase
  void begin_step(std::int64_t step);  // phase kStep
  void note_ending() noexcept;         // kEnding, for a bad end: no fault point, async-signal-safe

  // The number of this rank's next collective, on the host or on its device. Ranks start the same ones in the
  // same order, so a number means the same on all of them.
  std::int64_t next_collective() noexcept { return ++numbers_; }

  // A collective of the host communicator is begun, is done: in the row and in the flight ring. The
  // communication thread only.
  void collective_started(const CollectiveCall& call) noexcept;
  void collective_finished(const CollectiveCall& call) noexcept;

  // The same on a device: queued there; found done by the host, at some time after it was (for the flight
  // ring only: the device itself counts in the row). One thread at a time.
  void device_collective_queued(const CollectiveCall& call) noexcept;
  void device_collective_found_done(const CollectiveCall& call) noexcept;

  // All of the board, in whole pages: what a device must map before it can write to a row.
  std::span<std::byte> memory() const;

  // What was heard of ranks on other nodes, by global rank: 0 <= rank < remote_ranks(), which is 0 where all
  // ranks are on this node. put_remote: one thread of the node; read_remote: any. The value of read_remote
  // changes with every put_remote of that rank; 0, and `row` is left alone: nothing was heard of it, or it is
  // being written just now.
  int remote_ranks() const { return remote_ranks_; }
  void put_remote(const RowSnapshot& row) noexcept;
  std::uint32_t read_remote(int rank, RowSnapshot& row) const noexcept;

  // True for the first caller of the node with this text's hash (and for the callers with other texts): what
  // several ranks have to say alike is then said once.
  bool first_to_say(std::uint64_t hash);

 private:
  struct Segment;
  void set_phase(Phase phase) noexcept;
  void attach();
  bool try_create();
  bool try_open();  // false: gone or removed as a leftover; start again
  void map(int fd);
  void unmap();

  void note_started(const CollectiveCall& call) noexcept;

  std::atomic<std::int64_t> numbers_{0};  // of this rank's collectives
  Segment* segment_ = nullptr;
  const int rows_;
  const int remote_ranks_;
  const int rank_;
  const int local_rank_;
  const std::size_t bytes_;
  const std::string name_;  // of the shared memory; empty: private
  bool creator_ = false;
};

}  // namespace rn::dist
