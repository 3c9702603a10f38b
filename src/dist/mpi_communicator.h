// Collectives on host memory: shared memory between the ranks of a node, MPI between one leader per node.
//
// Note [Host collectives]. Inside a node no data goes through MPI. Ranks publish what they started
// (CollectiveCall) in shared memory and compare it before data moves. all_reduce on memory from allocate():
// each rank sums its part of the range over the ranks of the node and writes it to all of them, one reader
// and one writer per byte, between two barriers. Other memory goes through a bounce window in pieces; a few
// kilobytes (the vote, SyncBN) travel beside the call with a single barrier. Order of a sum: over the ranks
// of each node by rank, then over the nodes by their lowest rank; so every rank of every node holds the same
// bits, and on one node it is plain rank order. The bits depend on how the ranks lie on nodes.
//
// Collectives are executed by one thread per communicator, in the order in which they were started; after
// construction MPI is called from that thread only, except that a leader with a board has a second one
// (row_exchange.h) where MPI takes calls from several. All public functions are called from one other thread.
// A wait that finds its peers late sleeps, so it costs no core. Errors: calls that differ between ranks end
// with InternalError on every rank, MPI's errors with PeerLostError; after any error all pending and later
// collectives of this rank end with it too.
#pragma once

#include <memory>
#include <string>

#include "core/communicator.h"

namespace rn::dist {

class ProgressBoard;

class MpiCommunicator final : public Communicator {
 public:
  // Collective over MPI_COMM_WORLD. REQUIRES: MPI runs with MPI_THREAD_SERIALIZED or more, and this object is
  // destroyed before MPI_Finalize. `board` (borrowed, may be null): this rank's row and flight ring
  // get each collective when it is executed, and between nodes what the others' ranks do. `ranks_per_node`
  // above 0 cuts a machine into several "nodes", for tests.
  explicit MpiCommunicator(ProgressBoard* board = nullptr, int ranks_per_node = 0);
  // Finishes what was started; abandons it when an exception is unwinding this rank.
  ~MpiCommunicator() override;

  int rank() const override;
  int world_size() const override;
  std::string_view backend() const override { return "mpi"; }
  bool on_device() const override { return false; }

  std::shared_ptr<Buffer> allocate(std::size_t bytes) override;
  using Communicator::all_reduce;
  Work all_reduce(std::span<std::byte> data, DType dtype, DType wire) override;
  Work broadcast(std::span<std::byte> data, int root) override;
  Work all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override;
  void barrier() override;
  Communicator& host() override { return *this; }

  int node_count() const;
  int local_rank() const;  // of this rank on its node
  int local_size() const;

  // Where the nodes tell each other what their ranks do while the network between them is silent; empty:
  // nowhere.
  void use_run_folder(const std::string& run_dir);

  // This rank takes part no more: all that is not finished completes with an error soon. Thread-safe.
  void abandon() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rn::dist
