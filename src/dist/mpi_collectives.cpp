#include "dist/mpi_collectives.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "dist/sum_kernels.h"

namespace rn::dist {
namespace {

// Shares of ranks begin at cache lines, so that no line has two writers.
constexpr std::size_t kShareBytes = 64;

// `step(begin, size, half)` for pieces of [0, bytes), the halves in turn.
template <typename Step>
void for_pieces(std::size_t bytes, std::size_t piece, Step step) {
  int half = 0;
  for (std::size_t begin = 0; begin < bytes; begin += piece, half = 1 - half) {
    step(begin, std::min(piece, bytes - begin), half);
  }
}

void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

}  // namespace

MpiCollectives::MpiCollectives(const Topology& topology, const std::atomic<bool>& abandoned)
    : topology_(topology), node_(topology, abandoned) {
  if (several_nodes() && topology.leader()) link_.emplace(topology, abandoned);
}

MpiCollectives::Envelope MpiCollectives::node_envelope(const CollectiveCall& call) const {
  const auto& ranks = topology_.ranks_of_node[static_cast<std::size_t>(topology_.node)];
  Envelope envelope;
  std::memset(envelope.payload, 0, sizeof envelope.payload);
  envelope.call = node_.slot(0, call.number).call;
  envelope.rank = ranks.front();
  for (int r = 1; r < node_.size() && envelope.other_rank < 0; ++r) {
    const CollectiveCall& theirs = node_.slot(r, call.number).call;
    if (same_call(envelope.call, theirs)) continue;
    envelope.other = theirs;
    envelope.other_rank = ranks[static_cast<std::size_t>(r)];
  }
  return envelope;
}

template <typename Before, typename After>
void MpiCollectives::agree(const CollectiveCall& call, Before before, After after) {
  node_.slot(node_.rank(), call.number).call = call;
  node_.barrier();
  if (!several_nodes()) {
    const Envelope mine = node_envelope(call);
    if (mine.other_rank >= 0) {
      throw InternalError(describe_mismatch(mine.rank, mine.call, mine.other_rank, mine.other));
    }
    return;
  }
  LeaderWord& word = node_.leader_word();
  if (link_) {
    Envelope mine = node_envelope(call);
    if (mine.other_rank < 0) before(std::span<std::byte>(mine.payload));
    std::vector<Envelope> all(static_cast<std::size_t>(topology_.node_count()));
    link_->exchange(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)));
    std::string error;
    // Against rank 0's call: two calls of one node that differ cannot both be like it.
    const Envelope& first = all.front();
    for (const Envelope& node : all) {
      if (!error.empty()) break;
      if (!same_call(first.call, node.call)) {
        error = describe_mismatch(first.rank, first.call, node.rank, node.call);
      } else if (node.other_rank >= 0) {
        error = describe_mismatch(first.rank, first.call, node.other_rank, node.other);
      }
    }
    std::snprintf(word.error, sizeof word.error, "%s", error.c_str());
    if (error.empty()) after(all, std::span<std::byte>(word.payload));
  }
  node_.barrier();
  if (word.error[0] != '\0') throw InternalError(word.error);
}

void MpiCollectives::agree(const CollectiveCall& call) {
  agree(call, [](auto&&...) {}, [](auto&&...) {});
}

void MpiCollectives::barrier(const CollectiveCall& call) { agree(call); }

std::shared_ptr<SharedBuffer> MpiCollectives::allocate(const CollectiveCall& call, std::int64_t id) {
  agree(call);
  return node_.allocate(call.bytes, id, call.number);
}

std::vector<std::byte*> MpiCollectives::shared_parts(const CollectiveCall& call, const SharedBuffer* buffer,
                                                     std::size_t alignment) const {
  std::vector<std::byte*> parts;
  for (int r = 0; r < node_.size(); ++r) {
    const CollectiveCall& theirs = node_.slot(r, call.number).call;
    // The ranks that hold one id hold the same buffer, so all of them map it while the collective runs.
    if (!buffer || theirs.buffer != call.buffer || theirs.offset % alignment != 0) return {};
    parts.push_back(buffer->part(r) + theirs.offset);
  }
  return parts;
}

std::vector<std::byte*> MpiCollectives::bounce_parts(int half) const {
  std::vector<std::byte*> parts;
  for (int r = 0; r < node_.size(); ++r) parts.push_back(node_.bounce(r, half));
  return parts;
}

void MpiCollectives::sum_shared(std::span<std::byte* const> parts, std::size_t bytes, DType dtype,
                                DType wire) {
  const bool rounds = wire != dtype;
  const auto ranks = static_cast<std::size_t>(node_.size());
  const auto edge = [&](std::size_t r) {
    return r == ranks ? bytes : bytes * r / ranks / kShareBytes * kShareBytes;
  };
  const std::size_t begin = edge(static_cast<std::size_t>(node_.rank()));
  const std::size_t end = edge(static_cast<std::size_t>(node_.rank()) + 1);
  std::vector<const std::byte*> sources;
  std::vector<std::byte*> destinations;
  for (std::byte* part : parts) {
    sources.push_back(part + begin);
    if (destinations.empty() || !several_nodes()) destinations.push_back(part + begin);
  }
  sum_arrays(sources, destinations, (end - begin) / size_of(dtype), dtype,
             {.sources = rounds, .result = rounds && !several_nodes()});
  node_.barrier();
  if (!several_nodes()) return;
  if (link_) link_->sum(parts[0], bytes, dtype, rounds);
  node_.barrier();
}

void MpiCollectives::all_reduce(const CollectiveCall& call, std::span<std::byte> data,
                                const SharedBuffer* buffer) {
  if (data.size() <= inline_limit()) return all_reduce_inline(call, data);
  agree(call);
  if (const auto parts = shared_parts(call, buffer, size_of(call.dtype)); !parts.empty()) {
    sum_shared(parts, data.size(), call.dtype, call.wire);
    if (!several_nodes()) return;
    if (!topology_.leader()) copy_bytes(data.data(), parts[0], data.size());
    node_.barrier();  // the leader's range is its caller's again only when all have read it
    return;
  }
  for_pieces(data.size(), kPieceBytes, [&](std::size_t begin, std::size_t size, int half) {
    const auto parts = bounce_parts(half);
    const auto own = static_cast<std::size_t>(node_.rank());
    copy_bytes(parts[own], data.data() + begin, size);
    node_.barrier();
    sum_shared(parts, size, call.dtype, call.wire);
    copy_bytes(data.data() + begin, parts[several_nodes() ? 0 : own], size);
  });
}

void MpiCollectives::all_reduce_inline(const CollectiveCall& call, std::span<std::byte> data) {
  const bool rounds = call.wire != call.dtype;
  const std::size_t count = data.size() / size_of(call.dtype);
  copy_bytes(node_.slot(node_.rank(), call.number).payload, data.data(), data.size());
  const auto sum_node = [&](std::byte* sum, bool whole) {
    std::vector<const std::byte*> sources;
    for (int r = 0; r < node_.size(); ++r) sources.push_back(node_.slot(r, call.number).payload);
    sum_arrays(sources, {&sum, 1}, count, call.dtype, {.sources = rounds, .result = rounds && whole});
  };
  agree(
      call, [&](std::span<std::byte> payload) { sum_node(payload.data(), false); },
      [&](const std::vector<Envelope>& nodes, std::span<std::byte> result) {
        std::vector<const std::byte*> sources;
        for (const Envelope& node : nodes) sources.push_back(node.payload);
        std::byte* const sum = result.data();
        sum_arrays(sources, {&sum, 1}, count, call.dtype, {.sources = false, .result = rounds});
      });
  if (several_nodes()) {
    copy_bytes(data.data(), node_.leader_word().payload, data.size());
  } else {
    // Summed aside: the caller's memory may not be aligned to the type.
    alignas(64) std::byte sum[kInlineBytes];
    sum_node(sum, true);
    copy_bytes(data.data(), sum, data.size());
  }
}

void MpiCollectives::broadcast(const CollectiveCall& call, std::span<std::byte> data,
                               const SharedBuffer* buffer) {
  if (data.size() <= inline_limit()) return broadcast_inline(call, data);
  agree(call);
  const int root_node = topology_.node_of_rank[static_cast<std::size_t>(call.root)];
  const auto& ranks = topology_.ranks_of_node[static_cast<std::size_t>(topology_.node)];
  // Who holds the data for this node: the root itself, on other nodes the leader.
  const auto holder =
      topology_.node == root_node
          ? static_cast<std::size_t>(std::find(ranks.begin(), ranks.end(), call.root) - ranks.begin())
          : std::size_t{0};
  const bool holds = static_cast<std::size_t>(node_.rank()) == holder;
  const auto cross = [&](std::byte* place, std::size_t size) {
    if (!several_nodes()) return;
    if (link_) link_->broadcast({place, size}, root_node);
    node_.barrier();
  };
  if (const auto parts = shared_parts(call, buffer, 1); !parts.empty()) {
    for_pieces(data.size(), kPieceBytes,
               [&](std::size_t begin, std::size_t size, int) { cross(parts[holder] + begin, size); });
    if (!holds) copy_bytes(data.data(), parts[holder], data.size());
    node_.barrier();
    return;
  }
  for_pieces(data.size(), kPieceBytes, [&](std::size_t begin, std::size_t size, int half) {
    std::byte* const place = node_.bounce(static_cast<int>(holder), half);
    if (topology_.rank == call.root) copy_bytes(place, data.data() + begin, size);
    node_.barrier();
    cross(place, size);
    if (topology_.rank != call.root) copy_bytes(data.data() + begin, place, size);
  });
}

void MpiCollectives::broadcast_inline(const CollectiveCall& call, std::span<std::byte> data) {
  const int root_node = topology_.node_of_rank[static_cast<std::size_t>(call.root)];
  const auto& ranks = topology_.ranks_of_node[static_cast<std::size_t>(root_node)];
  const auto root = static_cast<int>(std::find(ranks.begin(), ranks.end(), call.root) - ranks.begin());
  if (topology_.rank == call.root)
    copy_bytes(node_.slot(node_.rank(), call.number).payload, data.data(), data.size());
  agree(
      call,
      [&](std::span<std::byte> payload) {
        if (topology_.node == root_node)
          copy_bytes(payload.data(), node_.slot(root, call.number).payload, data.size());
      },
      [&](const std::vector<Envelope>& nodes, std::span<std::byte> result) {
        copy_bytes(result.data(), nodes[static_cast<std::size_t>(root_node)].payload, data.size());
      });
  if (topology_.rank == call.root) return;
  copy_bytes(data.data(),
             several_nodes() ? node_.leader_word().payload : node_.slot(root, call.number).payload,
             data.size());
}

void MpiCollectives::all_gather(const CollectiveCall& call, std::span<const std::byte> mine,
                                std::span<std::byte> all) {
  if (!several_nodes() && mine.size() <= inline_limit()) return all_gather_inline(call, mine, all);
  agree(call);
  // One half of the bounce window, seen as a block per rank of the world, in order of (node, local rank).
  const auto world = static_cast<std::size_t>(topology_.world_size);
  const std::size_t room = kPieceBytes * static_cast<std::size_t>(topology_.smallest_node());
  const std::size_t piece = std::max(room / world / kShareBytes, std::size_t{1}) * kShareBytes;
  std::size_t before = 0;
  for (int n = 0; n < topology_.node; ++n)
    before += topology_.ranks_of_node[static_cast<std::size_t>(n)].size();

  for_pieces(mine.size(), piece, [&](std::size_t begin, std::size_t size, int half) {
    std::byte* const area = node_.bounce(0, half);
    copy_bytes(area + (before + static_cast<std::size_t>(node_.rank())) * size, mine.data() + begin, size);
    node_.barrier();
    if (several_nodes()) {
      if (link_) {
        std::vector<int> counts;
        for (const auto& ranks : topology_.ranks_of_node)
          counts.push_back(static_cast<int>(ranks.size() * size));
        link_->gather_blocks(area, counts);
      }
      node_.barrier();
    }
    std::size_t block = 0;
    for (const auto& ranks : topology_.ranks_of_node) {
      for (const int r : ranks) {
        copy_bytes(all.data() + static_cast<std::size_t>(r) * mine.size() + begin, area + block++ * size,
                   size);
      }
    }
  });
}

void MpiCollectives::all_gather_inline(const CollectiveCall& call, std::span<const std::byte> mine,
                                       std::span<std::byte> all) {
  copy_bytes(node_.slot(node_.rank(), call.number).payload, mine.data(), mine.size());
  agree(call);
  for (int r = 0; r < node_.size(); ++r) {
    copy_bytes(all.data() + static_cast<std::size_t>(r) * mine.size(), node_.slot(r, call.number).payload,
               mine.size());
  }
}

}  // namespace rn::dist
