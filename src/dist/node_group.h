// The ranks of one node and the memory they share: barrier, published calls, bounce space, buffers.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>

#include "core/communicator.h"
#include "dist/collective.h"
#include "dist/mpi_topology.h"
#include "dist/node_barrier.h"
#include "dist/shared_window.h"

namespace rn::dist {

inline constexpr std::size_t kInlineBytes = 8192;  // payload that travels beside a call
inline constexpr std::size_t kPieceBytes = std::size_t{1}
                                           << 20;  // of memory that no window holds, and between nodes

// What a rank says about the collective it has started.
struct CallSlot {
  alignas(64) CollectiveCall call;
  alignas(64) std::byte payload[kInlineBytes];
};

// What the leader tells its node after it has talked to the other nodes.
struct LeaderWord {
  char error[1024];  // empty: all nodes agree
  alignas(64) std::byte payload[kInlineBytes];
};

// Memory of all ranks of the node; the owner's part is bytes(). Every rank maps all parts.
class SharedBuffer final : public Buffer {
 public:
  SharedBuffer(SharedWindow window, std::int64_t id, std::size_t bytes, std::size_t stride, int local_rank)
      : window_(std::move(window)), id_(id), bytes_(bytes), stride_(stride), local_rank_(local_rank) {}
  std::span<std::byte> bytes() const override { return {part(local_rank_), bytes_}; }
  std::byte* part(int local_rank) const {
    return window_.bytes().data() + static_cast<std::size_t>(local_rank) * stride_;
  }
  std::int64_t id() const { return id_; }  // the same on all ranks

 private:
  const SharedWindow window_;
  const std::int64_t id_;
  const std::size_t bytes_;
  const std::size_t stride_;
  const int local_rank_;
};

// Used by the communication thread only, all ranks alike.
class NodeGroup {
 public:
  // Collective over topology.local; borrows both. Throws EnvironmentError on all ranks of the node alike.
  NodeGroup(const Topology& topology, const std::atomic<bool>& abandoned);

  int size() const { return size_; }
  int rank() const { return rank_; }
  void barrier() { barrier_.wait(); }

  // Note [Two slots]. A rank has two slots, used in turn. It writes the slot of collective n + 2 only after
  // the barrier of collective n + 1, which all ranks reach after they have read the slots of collective n:
  // one barrier per collective is enough.
  CallSlot& slot(int local_rank, std::int64_t number) const;
  LeaderWord& leader_word() const { return *leader_word_; }

  // Two halves used in turn, for the same reason; each rank has kPieceBytes of each half, contiguous by local
  // rank.
  std::byte* bounce(int local_rank, int half) const;

  // Collective; `number` is that of the call, whose slot serves for the talk.
  std::shared_ptr<SharedBuffer> allocate(std::size_t bytes, std::int64_t id, std::int64_t number);

 private:
  std::size_t control_bytes() const;

  const int size_;
  const int rank_;
  SharedWindow window_;
  BarrierMemory* barrier_memory_ = nullptr;
  LeaderWord* leader_word_ = nullptr;
  CallSlot* slots_ = nullptr;
  std::byte* bounce_ = nullptr;
  NodeBarrier barrier_;
};

}  // namespace rn::dist
