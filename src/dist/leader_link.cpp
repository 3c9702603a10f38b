#include "dist/leader_link.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "dist/node_group.h"
#include "dist/sum_kernels.h"

namespace rn::dist {
namespace {

constexpr int kTag = 1;
// Parts begin at whole cache lines of the widest type.
constexpr std::size_t kPartAlignment = 16;
constexpr std::size_t kBroadcastBytes = 16 * kPieceBytes;

}  // namespace

LeaderLink::LeaderLink(const Topology& topology, const std::atomic<bool>& abandoned)
    : comm_(topology.leaders.get()),
      node_(topology.node),
      node_count_(topology.node_count()),
      single_rank_nodes_(topology.largest_node() == 1),
      abandoned_(abandoned) {}

void LeaderLink::wait_all() {
  using std::chrono::microseconds;
  constexpr int kPolls = 500;
  constexpr int kYields = 500;
  microseconds pause{20};
  for (int polls = 0;; ++polls) {
    int done = 0;
    check_mpi(MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE),
              "a transfer between nodes");
    if (done) break;
    if (abandoned_.load(std::memory_order_relaxed)) throw Abandoned{};
    if (polls < kPolls) continue;
    if (polls < kPolls + kYields) {
      sched_yield();
      continue;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, microseconds{320});
  }
  requests_.clear();
}

void LeaderLink::exchange(std::span<const std::byte> mine, std::span<std::byte> all) {
  const int bytes = static_cast<int>(mine.size());
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallgather(mine.data(), bytes, MPI_BYTE, all.data(), bytes, MPI_BYTE, comm_, &request),
            "MPI_Iallgather");
  requests_.push_back(request);
  wait_all();
}

void LeaderLink::broadcast(std::span<std::byte> data, int root_node) {
  for (std::size_t begin = 0; begin < data.size(); begin += kBroadcastBytes) {
    const auto piece = data.subspan(begin, std::min(kBroadcastBytes, data.size() - begin));
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Ibcast(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, root_node, comm_, &request),
              "MPI_Ibcast");
    requests_.push_back(request);
    wait_all();
  }
}

void LeaderLink::gather_blocks(std::byte* area, std::span<const int> counts) {
  std::vector<int> offsets(counts.size(), 0);
  for (std::size_t i = 1; i < counts.size(); ++i) offsets[i] = offsets[i - 1] + counts[i - 1];
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, area, counts.data(), offsets.data(), MPI_BYTE,
                            comm_, &request),
            "MPI_Iallgatherv");
  requests_.push_back(request);
  wait_all();  // counts and offsets must live until here
}

LeaderLink::Part LeaderLink::part(std::size_t count, int node) const {
  const auto edge = [&](int n) {
    if (n == node_count_) return count;
    return count * static_cast<std::size_t>(n) / static_cast<std::size_t>(node_count_) / kPartAlignment *
           kPartAlignment;
  };
  return {edge(node), edge(node + 1) - edge(node)};
}

void LeaderLink::send(const std::byte* data, Part range, std::size_t element, int node) {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Isend(data + range.begin * element, static_cast<int>(range.size * element), MPI_BYTE, node,
                      kTag, comm_, &request),
            "MPI_Isend");
  requests_.push_back(request);
}

void LeaderLink::receive(std::byte* data, Part range, std::size_t element, int node) {
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Irecv(data + range.begin * element, static_cast<int>(range.size * element), MPI_BYTE, node,
                      kTag, comm_, &request),
            "MPI_Irecv");
  requests_.push_back(request);
}

void LeaderLink::sum(std::byte* data, std::size_t bytes, DType dtype, bool bf16_wire) {
  for (std::size_t begin = 0; begin < bytes; begin += kPieceBytes) {
    sum_piece(data + begin, std::min(kPieceBytes, bytes - begin) / size_of(dtype), dtype, bf16_wire);
  }
}

void LeaderLink::sum_piece(std::byte* data, std::size_t count, DType dtype, bool bf16_wire) {
  const bool packed_sources = bf16_wire && single_rank_nodes_;
  const std::size_t element = size_of(dtype);
  const Part mine = part(count, node_);
  const auto nodes = static_cast<std::size_t>(node_count_);
  contributions_.resize(nodes * mine.size * element);
  const auto block = [&](std::vector<std::byte>& area, std::size_t width, int node) {
    return area.data() + static_cast<std::size_t>(node) * mine.size * width;
  };

  // The others' parts go out, their contributions to mine come in.
  if (bf16_wire) packed_.resize(count);
  auto* const packed = reinterpret_cast<std::byte*>(packed_.data());
  if (packed_sources) {
    packed_contributions_.resize(nodes * mine.size * 2);
    pack_bf16(reinterpret_cast<const float*>(data), packed_.data(), count);
  }
  for (int n = 0; n < node_count_; ++n) {
    if (n == node_) continue;
    const Part incoming{0, mine.size};
    if (packed_sources) {
      receive(block(packed_contributions_, 2, n), incoming, 2, n);
      send(packed, part(count, n), 2, n);
    } else {
      receive(block(contributions_, element, n), incoming, element, n);
      send(data, part(count, n), element, n);
    }
  }
  wait_all();

  std::vector<const std::byte*> sources;
  for (int n = 0; n < node_count_; ++n) {
    if (n != node_ && packed_sources) {
      unpack_bf16(reinterpret_cast<const std::uint16_t*>(block(packed_contributions_, 2, n)),
                  reinterpret_cast<float*>(block(contributions_, element, n)), mine.size);
    }
    sources.push_back(n == node_ ? data + mine.begin * element : block(contributions_, element, n));
  }
  std::byte* const sum = data + mine.begin * element;
  sum_arrays(sources, {&sum, 1}, mine.size, dtype, {.sources = false, .result = bf16_wire});

  // My sum goes out, the others' come in.
  if (bf16_wire) pack_bf16(reinterpret_cast<const float*>(sum), packed_.data() + mine.begin, mine.size);
  for (int n = 0; n < node_count_; ++n) {
    if (n == node_) continue;
    if (bf16_wire) {
      receive(packed, part(count, n), 2, n);
      send(packed, mine, 2, n);
    } else {
      receive(data, part(count, n), element, n);
      send(data, mine, element, n);
    }
  }
  wait_all();
  if (bf16_wire) unpack_bf16(packed_.data(), reinterpret_cast<float*>(data), count);
}

}  // namespace rn::dist
