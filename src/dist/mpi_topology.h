// Which rank lies on which node, and the MPI communicators between them.
#pragma once

#include <mpi.h>

#include <string_view>
#include <utility>
#include <vector>

namespace rn::dist {

// Throws PeerLostError with MPI's text when `result` is no success.
void check_mpi(int result, std::string_view what);

// Owns one MPI communicator; move-only.
class MpiComm {
 public:
  MpiComm() = default;
  explicit MpiComm(MPI_Comm comm) : comm_(comm) {}
  MpiComm(MpiComm&& other) noexcept;
  MpiComm& operator=(MpiComm&& other) noexcept;
  // Not freed when MPI is already finalized or while an exception unwinds: no MPI call on the way to a bad
  // end.
  ~MpiComm();
  MPI_Comm get() const { return comm_; }
  MPI_Comm release() noexcept { return std::exchange(comm_, MPI_COMM_NULL); }  // nobody frees it

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
};

// Constant after construction. A node is a set of ranks that can map each other's memory; nodes are ordered
// by their lowest rank, ranks in a node by rank.
struct Topology {
  // Collective over MPI_COMM_WORLD. `ranks_per_node` above 0 cuts the ranks of a machine into nodes of at
  // most that many neighbours: several hosts on one machine, for tests.
  explicit Topology(int ranks_per_node);

  int rank = 0;
  int world_size = 1;
  int node = 0;        // of this rank
  int local_rank = 0;  // on its node; 0 is the node's leader
  int local_size = 1;
  std::vector<std::vector<int>> ranks_of_node;  // ranks_of_node[node][local rank] = rank
  std::vector<int> node_of_rank;

  int node_count() const { return static_cast<int>(ranks_of_node.size()); }
  bool leader() const { return local_rank == 0; }
  int smallest_node() const;
  int largest_node() const;

  MpiComm world;    // errors return
  MpiComm local;    // the ranks of this node
  MpiComm leaders;  // of all nodes, in node order; null on the others
};

}  // namespace rn::dist
