// The host collectives themselves, step by step: see Note [Host collectives] in mpi_communicator.h.
//
// Used by the communication thread only; every call is collective over all ranks. Throws InternalError on
// every rank when their calls differ, PeerLostError for MPI's errors, Abandoned.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "dist/collective.h"
#include "dist/leader_link.h"
#include "dist/mpi_topology.h"
#include "dist/node_group.h"

namespace rn::dist {

class MpiCollectives {
 public:
  // Borrows both.
  MpiCollectives(const Topology& topology, const std::atomic<bool>& abandoned);

  // `buffer` is call.buffer's, or null: then `data` is memory of this process alone.
  void all_reduce(const CollectiveCall& call, std::span<std::byte> data, const SharedBuffer* buffer);
  void broadcast(const CollectiveCall& call, std::span<std::byte> data, const SharedBuffer* buffer);
  void all_gather(const CollectiveCall& call, std::span<const std::byte> mine, std::span<std::byte> all);
  void barrier(const CollectiveCall& call);
  std::shared_ptr<SharedBuffer> allocate(const CollectiveCall& call, std::int64_t id);

 private:
  // What a node says to the others: the call that all its ranks made, or two that differ; and a small
  // payload.
  struct Envelope {
    CollectiveCall call;
    CollectiveCall other;  // differs from `call` if other_rank >= 0
    std::int32_t rank = -1;
    std::int32_t other_rank = -1;
    std::byte payload[512];
  };

  bool several_nodes() const { return topology_.node_count() > 1; }
  // The largest payload that travels beside the call.
  std::size_t inline_limit() const { return several_nodes() ? sizeof(Envelope::payload) : kInlineBytes; }

  // Publishes the call and returns once all ranks have published equal ones. The leader runs `before` to fill
  // its node's payload and `after` with the envelopes of all nodes; both only between several nodes.
  template <typename Before, typename After>
  void agree(const CollectiveCall& call, Before before, After after);
  void agree(const CollectiveCall& call);
  Envelope node_envelope(const CollectiveCall& call) const;

  void all_reduce_inline(const CollectiveCall& call, std::span<std::byte> data);
  void broadcast_inline(const CollectiveCall& call, std::span<std::byte> data);
  void all_gather_inline(const CollectiveCall& call, std::span<const std::byte> mine,
                         std::span<std::byte> all);

  // Every rank's range of the same size in memory that all map: parts[local rank]. Afterwards each holds the
  // sum (one node) or the leader's does (several).
  void sum_shared(std::span<std::byte* const> parts, std::size_t bytes, DType dtype, DType wire);
  // The ranges of all ranks, if all lie in one shared buffer where `alignment` holds; else empty. All ranks
  // of the node decide alike.
  std::vector<std::byte*> shared_parts(const CollectiveCall& call, const SharedBuffer* buffer,
                                       std::size_t alignment) const;
  std::vector<std::byte*> bounce_parts(int half) const;

  const Topology& topology_;
  NodeGroup node_;
  std::optional<LeaderLink> link_;  // the leader's, where there are several nodes
};

}  // namespace rn::dist
