// How the nodes of a run tell each other what their ranks do, so that the watchdog of any of them can name a
// culprit on another.
//
// Each node's leader has a thread for it, beside the one that runs the collectives: twice a second it packs
// the rows of its board, sends them to all other leaders by MPI, and puts what it hears from them on its
// board, where every rank of the node reads it. While a node is silent (the network between them is cut, or
// their MPI takes calls from one thread only) both sides also write their rows into the run folder and read
// the other's there.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dist/mpi_topology.h"
#include "dist/node_report.h"
#include "dist/progress_board.h"

namespace rn::dist {

struct RowExchangeOptions {
  std::chrono::milliseconds period{500};
  std::chrono::milliseconds silence{3000};  // after which a node's file is looked for
  bool by_mpi = true;                       // false: as with an MPI that takes calls from one thread only
};

class RowExchange {
 public:
  // Collective over the leaders; starts the thread, which takes no signals. Borrows both. REQUIRES:
  // topology.leader(), several nodes, board.remote_ranks() > 0.
  RowExchange(const Topology& topology, ProgressBoard& board, const RowExchangeOptions& options = {});
  // Ends the thread. Without finish() before it no MPI call is made, and MPI must not be finalized
  // afterwards.
  ~RowExchange();
  RowExchange(const RowExchange&) = delete;
  RowExchange& operator=(const RowExchange&) = delete;

  // Where rows go while a node is silent; empty: nowhere. Any thread.
  void use_folder(const std::string& run_dir);

  // Collective over the leaders: nothing is under way between them afterwards. Waits for all of them.
  void finish();

 private:
  struct Peer;
  void serve();
  void tell(const std::vector<std::byte>& report, bool last);
  void hear(Peer& peer);
  void take(Peer& peer, const NodeReport& report);
  void use_files(const std::string& folder, const NodeReport& mine);
  bool all_said() const;

  const Topology& topology_;
  ProgressBoard& board_;
  const RowExchangeOptions options_;
  MpiComm link_;  // null: not by MPI
  std::uint64_t run_ = 0;
  bool file_written_ = false;  // of the thread, as are the peers
  std::vector<std::unique_ptr<Peer>> peers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string folder_;      // guarded by mutex_, as is all below
  bool finishing_ = false;  // say goodbye, and end when all have
  bool stopping_ = false;   // end at once
  std::thread thread_;
};

}  // namespace rn::dist
