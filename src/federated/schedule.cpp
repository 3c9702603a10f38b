#include "federated/schedule.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

#include "core/error.h"

namespace rn::federated {

std::int64_t RankSchedule::longest() const { return *std::max_element(load.begin(), load.end()); }

double RankSchedule::idle_share() const {
  const std::int64_t most = longest();
  if (most == 0) return 0;
  const auto worked = std::accumulate(load.begin(), load.end(), std::int64_t{0});
  return 1.0 - static_cast<double>(worked) / (static_cast<double>(most) * static_cast<double>(load.size()));
}

RankSchedule longest_first(std::span<const std::int64_t> work, int ranks) {
  RN_CHECK(ranks > 0, ranks, " ranks");
  RankSchedule schedule;
  schedule.of_rank.resize(static_cast<std::size_t>(ranks));
  schedule.load.resize(static_cast<std::size_t>(ranks), 0);

  std::vector<std::size_t> order(work.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return work[a] > work[b]; });

  using LoadAndRank = std::pair<std::int64_t, std::size_t>;
  std::priority_queue<LoadAndRank, std::vector<LoadAndRank>, std::greater<>> least;
  for (std::size_t rank = 0; rank < schedule.load.size(); ++rank) least.emplace(0, rank);
  for (const std::size_t position : order) {
    RN_CHECK(work[position] >= 0, "work = ", work[position]);
    const std::size_t rank = least.top().second;
    least.pop();
    schedule.of_rank[rank].push_back(static_cast<std::int64_t>(position));
    schedule.load[rank] += work[position];
    least.emplace(schedule.load[rank], rank);
  }
  return schedule;
}

}  // namespace rn::federated
