// How the leaders of the nodes exchange data over MPI. Used by the communication thread of each node's
// leader.
//
// Every call is collective over the leaders. Waits poll MPI with growing sleeps: Open MPI's own waits burn a
// core.
#pragma once

#include <mpi.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/dtype.h"
#include "dist/mpi_topology.h"

namespace rn::dist {

class LeaderLink {
 public:
  // Borrows both. REQUIRES: topology.leader().
  LeaderLink(const Topology& topology, const std::atomic<bool>& abandoned);

  // all := mine of node 0, mine of node 1, ...
  void exchange(std::span<const std::byte> mine, std::span<std::byte> all);

  // data := sum over nodes in node order, in pieces of kPieceBytes. Each piece is cut into one part per node:
  // a node gets its part from all others, sums it in node order and sends the sum to all, so 2 (n - 1) / n of
  // the bytes leave each node and no two nodes compute the same element. `bf16_wire`: the sum is rounded to
  // bf16 once and travels so; contributions travel as bf16 too where every node has a single rank (they are
  // such numbers then), else as float32.
  void sum(std::byte* data, std::size_t bytes, DType dtype, bool bf16_wire);

  // data := data of root_node.
  void broadcast(std::span<std::byte> data, int root_node);

  // `area` holds a block per node, of counts[node] bytes, one after another; this node's block is filled in.
  void gather_blocks(std::byte* area, std::span<const int> counts);

 private:
  struct Part {
    std::size_t begin;
    std::size_t size;
  };
  Part part(std::size_t count, int node) const;
  void sum_piece(std::byte* data, std::size_t count, DType dtype, bool bf16_wire);
  void send(const std::byte* data, Part range, std::size_t element, int node);
  void receive(std::byte* data, Part range, std::size_t element, int node);
  void wait_all();

  const MPI_Comm comm_;
  const int node_;
  const int node_count_;
  const bool single_rank_nodes_;
  const std::atomic<bool>& abandoned_;
  std::vector<MPI_Request> requests_;     // in flight
  std::vector<std::byte> contributions_;  // of my part, a block of one piece's part per node
  std::vector<std::byte> packed_contributions_;
  std::vector<std::uint16_t> packed_;  // one piece as bf16
};

}  // namespace rn::dist
