#include "dist/node_group.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace rn::dist {
namespace {

constexpr std::size_t kPage = 4096;

std::size_t round_to_page(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// The leader's window, mapped by all ranks of `local`. Throws on all of them alike: with their own error
// where it happened, else with a word about the other rank.
SharedWindow map_together(MPI_Comm local, bool leader, std::size_t bytes) {
  SharedWindow window;
  std::string error;
  WindowHandle handle;
  const auto attempt = [&](auto&& action) {
    try {
      action();
    } catch (const Error& e) {
      error = e.what();
    }
  };
  if (leader) attempt([&] { window = SharedWindow::create(bytes); });
  handle = window.handle();
  check_mpi(MPI_Bcast(&handle, sizeof handle, MPI_BYTE, 0, local), "MPI_Bcast");
  if (!leader && handle.path[0] != '\0') attempt([&] { window = SharedWindow::attach(handle, bytes); });
  const int mine = window.bytes().empty() ? 0 : 1;
  int all = 0;
  check_mpi(MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, local), "MPI_Allreduce");
  if (all == 0) {
    throw EnvironmentError(error.empty() ? "[dist] another rank of this machine cannot map the shared memory"
                                         : error);
  }
  window.close_handle();
  return window;
}

}  // namespace

NodeGroup::NodeGroup(const Topology& topology, const std::atomic<bool>& abandoned)
    : size_(topology.local_size),
      rank_(topology.local_rank),
      window_(map_together(topology.local.get(), topology.leader(),
                           control_bytes() + static_cast<std::size_t>(size_) * 2 * kPieceBytes)),
      barrier_memory_(reinterpret_cast<BarrierMemory*>(window_.bytes().data())),
      leader_word_(reinterpret_cast<LeaderWord*>(barrier_memory_ + 1)),
      slots_(reinterpret_cast<CallSlot*>(leader_word_ + 1)),
      bounce_(window_.bytes().data() + control_bytes()),
      barrier_(*barrier_memory_, size_, abandoned) {}

std::size_t NodeGroup::control_bytes() const {
  return round_to_page(sizeof(BarrierMemory) + sizeof(LeaderWord) +
                       static_cast<std::size_t>(size_) * 2 * sizeof(CallSlot));
}

CallSlot& NodeGroup::slot(int local_rank, std::int64_t number) const {
  return slots_[static_cast<std::size_t>(local_rank) * 2 + static_cast<std::size_t>(number & 1)];
}

std::byte* NodeGroup::bounce(int local_rank, int half) const {
  return bounce_ + (static_cast<std::size_t>(half) * static_cast<std::size_t>(size_) +
                    static_cast<std::size_t>(local_rank)) *
                       kPieceBytes;
}

std::shared_ptr<SharedBuffer> NodeGroup::allocate(std::size_t bytes, std::int64_t id, std::int64_t number) {
  const std::size_t stride = std::max(round_to_page(bytes), kPage);
  const std::size_t all = stride * static_cast<std::size_t>(size_);
  SharedWindow window;
  std::string error;
  // The leader's slot carries the handle; every rank's slot then carries its error, empty if all is well.
  std::byte* const handle_place = slot(0, number).payload;
  const auto attempt = [&](auto&& action) {
    try {
      action();
    } catch (const Error& e) {
      error = e.what();
    }
  };
  if (rank_ == 0) {
    attempt([&] { window = SharedWindow::create(all); });
    std::memcpy(handle_place, &window.handle(), sizeof(WindowHandle));
  }
  barrier();
  if (rank_ != 0) {
    WindowHandle handle;
    std::memcpy(&handle, handle_place, sizeof handle);
    if (handle.path[0] == '\0') {
      error = "[dist] the first rank of this machine cannot make the shared memory";
    } else {
      attempt([&] { window = SharedWindow::attach(handle, all); });
    }
  }
  if (error.empty()) {  // first touch by the owner: its pages lie in its memory node
    std::memset(window.bytes().data() + static_cast<std::size_t>(rank_) * stride, 0, stride);
  }
  auto* const said = reinterpret_cast<char*>(slot(rank_, number).payload + sizeof(WindowHandle));
  std::snprintf(said, kInlineBytes - sizeof(WindowHandle), "%s", error.c_str());
  barrier();
  for (int r = 0; r < size_; ++r) {
    const auto* theirs = reinterpret_cast<const char*>(slot(r, number).payload + sizeof(WindowHandle));
    if (theirs[0] != '\0') throw EnvironmentError(theirs);
  }
  window.close_handle();
  return std::make_shared<SharedBuffer>(std::move(window), id, bytes, stride, rank_);
}

}  // namespace rn::dist
