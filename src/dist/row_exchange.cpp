#include "dist/row_exchange.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <span>

#include "core/blocked_signals.h"
#include "core/error.h"
#include "core/host_name.h"
#include "dist/node_report.h"
#include "dist/row_history.h"

namespace rn::dist {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int kTag = 2;
constexpr std::chrono::milliseconds kGoodbyePoll{2};

std::vector<RowSnapshot> rows_to_tell(std::span<const RowSnapshot> rows) {
  const std::string host = host_name();
  std::vector<RowSnapshot> told;
  for (RowSnapshot row : rows) {
    if (row.rank < 0) continue;  // not attached yet
    std::strncpy(row.host.data(), host.c_str(), row.host.size() - 1);
    told.push_back(row);
  }
  return told;
}

}  // namespace

// Another node. Its buffers must not move or go while MPI may write into them.
struct RowExchange::Peer {
  int node = 0;
  std::vector<std::byte> outgoing, incoming;
  MPI_Request send = MPI_REQUEST_NULL, receive = MPI_REQUEST_NULL;
  bool link = false;  // MPI reaches it
  bool told_last = false, heard_last = false;
  std::int64_t newest = 0;                 // number of its newest report
  Clock::time_point heard = Clock::now();  // by MPI

  // False: MPI has given this peer up.
  bool test(MPI_Request& request, bool& done) {
    int flag = 0;
    link = MPI_Test(&request, &flag, MPI_STATUS_IGNORE) == MPI_SUCCESS;
    done = flag != 0;
    return link;
  }
};

RowExchange::RowExchange(const Topology& topology, ProgressBoard& board, const RowExchangeOptions& options)
    : topology_(topology), board_(board), options_(options) {
  RN_CHECK(topology.leader() && topology.node_count() > 1 && board.remote_ranks() > 0);
  int threads = MPI_THREAD_SINGLE;
  MPI_Query_thread(&threads);
  if (topology.node == 0) {
    std::random_device random;
    run_ = (std::uint64_t{random()} << 32) | random();
  }
  check_mpi(MPI_Bcast(&run_, sizeof run_, MPI_BYTE, 0, topology.leaders.get()), "MPI_Bcast");
  if (options.by_mpi && threads == MPI_THREAD_MULTIPLE) {
    MPI_Comm comm = MPI_COMM_NULL;
    check_mpi(MPI_Comm_dup(topology.leaders.get(), &comm), "MPI_Comm_dup");
    link_ = MpiComm(comm);
  }
  for (int node = 0; node < topology.node_count(); ++node) {
    if (node == topology.node) continue;
    auto peer = std::make_unique<Peer>();
    peer->node = node;
    peer->link = link_.get() != MPI_COMM_NULL;
    peer->incoming.resize(packed_size(topology.ranks_of_node[static_cast<std::size_t>(node)].size()));
    peers_.push_back(std::move(peer));
  }
  const BlockedSignals inherited;
  thread_ = std::thread([this] { serve(); });
}

RowExchange::~RowExchange() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  for (auto& peer : peers_) {
    if (peer->send == MPI_REQUEST_NULL && peer->receive == MPI_REQUEST_NULL) continue;
    // Not ended in order: what was given to MPI stays its own until the process ends.
    (void)link_.release();
    (void)peer.release();
  }
}

void RowExchange::use_folder(const std::string& run_dir) {
  const std::lock_guard lock(mutex_);
  folder_ = run_dir;
}

void RowExchange::finish() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

bool RowExchange::all_said() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& peer) {
    return !peer->link || (peer->told_last && peer->heard_last && peer->send == MPI_REQUEST_NULL);
  });
}

void RowExchange::serve() {
  RowHistory history(board_.rows());
  NodeReport mine{run_, 0, topology_.node, false, {}};
  auto looked = Clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const bool finishing = finishing_;
    const std::string folder = folder_;
    lock.unlock();
    const auto now = Clock::now();
    mine.rows = rows_to_tell(history.look(board_, std::chrono::duration<double>(now - looked).count()));
    mine.last = finishing;
    ++mine.number;
    looked = now;
    tell(pack(mine), finishing);
    for (auto& peer : peers_) hear(*peer);
    if (!folder.empty()) use_files(folder, mine);
    lock.lock();
    if (finishing && all_said()) break;
    if (finishing) {
      wake_.wait_for(lock, kGoodbyePoll, [this] { return stopping_; });
    } else {
      wake_.wait_for(lock, options_.period, [this] { return stopping_ || finishing_; });
    }
  }
  if (file_written_) remove_node_report(folder_, topology_.node);
}

// One message to each peer at a time: a peer that does not listen gets no pile of them.
void RowExchange::tell(const std::vector<std::byte>& report, bool last) {
  for (auto& peer : peers_) {
    bool free = true;
    if (!peer->link || !peer->test(peer->send, free) || !free || peer->told_last) continue;
    peer->outgoing = report;
    peer->told_last = last;
    peer->link = MPI_Isend(peer->outgoing.data(), static_cast<int>(peer->outgoing.size()), MPI_BYTE,
                           peer->node, kTag, link_.get(), &peer->send) == MPI_SUCCESS;
  }
}

void RowExchange::hear(Peer& peer) {
  while (peer.link && !peer.heard_last) {
    if (peer.receive != MPI_REQUEST_NULL) {
      bool done = false;
      if (!peer.test(peer.receive, done) || !done) return;
      if (const auto report = unpack(peer.incoming); report && report->run == run_) {
        peer.heard = Clock::now();
        peer.heard_last = report->last;
        take(peer, *report);
      }
      continue;
    }
    peer.link = MPI_Irecv(peer.incoming.data(), static_cast<int>(peer.incoming.size()), MPI_BYTE, peer.node,
                          kTag, link_.get(), &peer.receive) == MPI_SUCCESS;
  }
}

// The same report may come twice, by MPI and as a file, in any order.
void RowExchange::take(Peer& peer, const NodeReport& report) {
  if (report.run != run_ || report.number <= peer.newest) return;
  peer.newest = report.number;
  for (const RowSnapshot& row : report.rows) {
    const bool known = row.rank < topology_.world_size &&
                       topology_.node_of_rank[static_cast<std::size_t>(row.rank)] == peer.node;
    if (known) board_.put_remote(row);
  }
}

void RowExchange::use_files(const std::string& folder, const NodeReport& mine) {
  bool silence = false;
  for (auto& peer : peers_) {
    if (peer->heard_last || (peer->link && Clock::now() - peer->heard < options_.silence)) continue;
    silence = true;
    if (const auto report = read_node_report(folder, peer->node)) take(*peer, *report);
  }
  if (silence) {
    file_written_ = write_node_report(folder, mine) || file_written_;
  } else if (file_written_) {
    remove_node_report(folder, topology_.node);
    file_written_ = false;
  }
}

}  // namespace rn::dist
