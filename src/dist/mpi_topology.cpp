#include "dist/mpi_topology.h"

#include <algorithm>
#include <exception>
#include <map>
#include <string>
#include <utility>

#include "core/error.h"

namespace rn::dist {

void check_mpi(int result, std::string_view what) {
  if (result == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(result, text, &length);
  throw PeerLostError(cat("[dist] ", what, ": ", std::string_view(text, static_cast<std::size_t>(length))));
}

MpiComm::MpiComm(MpiComm&& other) noexcept : comm_(std::exchange(other.comm_, MPI_COMM_NULL)) {}

MpiComm& MpiComm::operator=(MpiComm&& other) noexcept {
  std::swap(comm_, other.comm_);
  return *this;
}

MpiComm::~MpiComm() {
  if (comm_ == MPI_COMM_NULL || std::uncaught_exceptions() > 0) return;
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (!finalized) MPI_Comm_free(&comm_);
}

namespace {

MpiComm split(MPI_Comm comm, int color, int key) {
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(comm, color, key, &part), "MPI_Comm_split");
  return MpiComm(part);
}

}  // namespace

Topology::Topology(int ranks_per_node) {
  MPI_Comm comm = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &comm), "MPI_Comm_dup");
  world = MpiComm(comm);
  MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);  // inherited by the communicators below
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &world_size);

  MPI_Comm machine = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &machine),
            "MPI_Comm_split_type");
  local = MpiComm(machine);
  if (ranks_per_node > 0) {
    int on_machine = 0;
    MPI_Comm_rank(machine, &on_machine);
    local = split(machine, on_machine / ranks_per_node, rank);
  }
  MPI_Comm_rank(local.get(), &local_rank);
  MPI_Comm_size(local.get(), &local_size);
  leaders = split(comm, leader() ? 0 : MPI_UNDEFINED, rank);

  int lowest = rank;
  check_mpi(MPI_Bcast(&lowest, 1, MPI_INT, 0, local.get()), "MPI_Bcast");
  std::vector<int> lowest_of_rank(static_cast<std::size_t>(world_size));
  check_mpi(MPI_Allgather(&lowest, 1, MPI_INT, lowest_of_rank.data(), 1, MPI_INT, comm), "MPI_Allgather");
  std::map<int, std::vector<int>> nodes;
  for (int r = 0; r < world_size; ++r) nodes[lowest_of_rank[static_cast<std::size_t>(r)]].push_back(r);
  node_of_rank.resize(static_cast<std::size_t>(world_size));
  for (auto& [first, ranks] : nodes) {
    if (first == lowest) node = node_count();
    for (const int r : ranks) node_of_rank[static_cast<std::size_t>(r)] = node_count();
    ranks_of_node.push_back(std::move(ranks));
  }
}

int Topology::smallest_node() const {
  std::size_t size = ranks_of_node.front().size();
  for (const auto& ranks : ranks_of_node) size = std::min(size, ranks.size());
  return static_cast<int>(size);
}

int Topology::largest_node() const {
  std::size_t size = 1;
  for (const auto& ranks : ranks_of_node) size = std::max(size, ranks.size());
  return static_cast<int>(size);
}

}  // namespace rn::dist
