#include "dist/mpi_communicator.h"

#include <atomic>
#include <exception>
#include <functional>
#include <utility>
#include <vector>

#include "core/error.h"
#include "dist/collective.h"
#include "dist/collective_queue.h"
#include "dist/fault_point.h"
#include "dist/mpi_collectives.h"
#include "dist/mpi_topology.h"
#include "dist/progress_board.h"
#include "dist/row_exchange.h"
#include "dist/single_communicator.h"

namespace rn::dist {

struct MpiCommunicator::Impl {
  Impl(ProgressBoard* progress_board, int ranks_per_node)
      : board(progress_board), topology(ranks_per_node), collectives(topology, abandoned), queue(abandoned) {
    const bool tells = board && board->remote_ranks() > 0 && topology.node_count() > 1;
    if (tells && topology.leader()) rows = std::make_unique<RowExchange>(topology, *board);
  }
  ~Impl() {
    if (rows && !abandoned && std::uncaught_exceptions() == 0) rows->finish();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // The buffer that holds all of `data`, or null. Called from the caller's thread only.
  std::shared_ptr<SharedBuffer> find_buffer(std::span<const std::byte> data) {
    std::erase_if(buffers, [](const auto& buffer) { return buffer.expired(); });
    for (const auto& weak : buffers) {
      auto buffer = weak.lock();
      if (!buffer) continue;  // the queue's thread held the last reference
      const auto bytes = buffer->bytes();
      const std::less_equal<const std::byte*> not_after;
      if (not_after(bytes.data(), data.data()) &&
          not_after(data.data() + data.size(), bytes.data() + bytes.size())) {
        return buffer;
      }
    }
    return nullptr;
  }

  CollectiveCall new_call(CollectiveKind kind, std::size_t bytes) {
    CollectiveCall call;
    call.number = board ? board->next_collective() : ++started;
    call.kind = kind;
    call.bytes = bytes;
    return call;
  }

  template <typename Run>
  Work start(const CollectiveCall& call, Run run) {
    return queue.start([this, call, run = std::move(run)] {
      if (board) board->collective_started(call);
      fault_point(name_of(call.kind), topology.rank, step());
      run(call);
      if (board) board->collective_finished(call);
    });
  }

  std::int64_t step() const { return board ? board->mine().step.load(std::memory_order_relaxed) : -1; }

  using InPlace = void (MpiCollectives::*)(const CollectiveCall&, std::span<std::byte>, const SharedBuffer*);

  // Starts `collective` on `data`, by the shared buffer that holds it if there is one.
  Work start_on(std::span<std::byte> data, CollectiveCall call, InPlace collective) {
    auto buffer = find_buffer(data);
    if (buffer) {
      call.buffer = buffer->id();
      call.offset = static_cast<std::uint64_t>(data.data() - buffer->bytes().data());
    }
    return start(call, [this, data, collective, buffer = std::move(buffer)](const CollectiveCall& mine) {
      const auto corrupt = [&](FaultData place) {
        fault_point_data(place, name_of(mine.kind), topology.rank, step(), data, mine.dtype);
      };
      corrupt(FaultData::kContribution);
      (collectives.*collective)(mine, data, buffer.get());
      corrupt(FaultData::kResult);
    });
  }

  ProgressBoard* const board;
  std::atomic<bool> abandoned{false};
  const Topology topology;
  MpiCollectives collectives;                        // of the queue's thread
  std::vector<std::weak_ptr<SharedBuffer>> buffers;  // of the caller's thread
  std::int64_t started = 0;                          // collectives without a board; of the caller's thread
  std::int64_t allocated = 0;                        // buffers ever; of the caller's thread
  std::unique_ptr<RowExchange> rows;                 // of a leader, between nodes
  CollectiveQueue queue;                             // last: its thread ends first
};

MpiCommunicator::MpiCommunicator(ProgressBoard* board, int ranks_per_node)
    : impl_(std::make_unique<Impl>(board, ranks_per_node)) {}

MpiCommunicator::~MpiCommunicator() = default;

int MpiCommunicator::rank() const { return impl_->topology.rank; }
int MpiCommunicator::world_size() const { return impl_->topology.world_size; }
int MpiCommunicator::node_count() const { return impl_->topology.node_count(); }
int MpiCommunicator::local_rank() const { return impl_->topology.local_rank; }
int MpiCommunicator::local_size() const { return impl_->topology.local_size; }
void MpiCommunicator::use_run_folder(const std::string& run_dir) {
  if (impl_->rows) impl_->rows->use_folder(run_dir);
}
void MpiCommunicator::abandon() noexcept { impl_->queue.abandon(); }

std::shared_ptr<Buffer> MpiCommunicator::allocate(std::size_t bytes) {
  std::shared_ptr<SharedBuffer> buffer;
  const std::int64_t id = impl_->allocated++;
  impl_
      ->start(impl_->new_call(CollectiveKind::kAllocate, bytes),
              [&](const CollectiveCall& call) { buffer = impl_->collectives.allocate(call, id); })
      .wait();
  impl_->buffers.push_back(buffer);
  return buffer;
}

Work MpiCommunicator::all_reduce(std::span<std::byte> data, DType dtype, DType wire) {
  check_all_reduce(data.size(), dtype, wire);
  CollectiveCall call = impl_->new_call(CollectiveKind::kAllReduce, data.size());
  call.dtype = dtype;
  call.wire = wire;
  return impl_->start_on(data, call, &MpiCollectives::all_reduce);
}

Work MpiCommunicator::broadcast(std::span<std::byte> data, int root) {
  RN_CHECK(root >= 0 && root < world_size(), "broadcast from rank ", root, " of ", world_size());
  CollectiveCall call = impl_->new_call(CollectiveKind::kBroadcast, data.size());
  call.root = root;
  return impl_->start_on(data, call, &MpiCollectives::broadcast);
}

Work MpiCommunicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all) {
  RN_CHECK(all.size() == mine.size() * static_cast<std::size_t>(world_size()), all.size(), " bytes for ",
           world_size(), " parts of ", mine.size());
  return impl_->start(impl_->new_call(CollectiveKind::kAllGather, mine.size()),
                      [impl = impl_.get(), mine, all](const CollectiveCall& call) {
                        impl->collectives.all_gather(call, mine, all);
                      });
}

void MpiCommunicator::barrier() {
  impl_
      ->start(impl_->new_call(CollectiveKind::kBarrier, 0),
              [impl = impl_.get()](const CollectiveCall& call) { impl->collectives.barrier(call); })
      .wait();
}

}  // namespace rn::dist
