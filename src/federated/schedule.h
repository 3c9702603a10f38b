// Which rank trains which clients of a round.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rn::federated {

struct RankSchedule {
  std::vector<std::vector<std::int64_t>> of_rank;  // positions in the round's cohort, in order of work
  std::vector<std::int64_t> load;                  // [ranks], summed work

  std::int64_t longest() const;
  // Share of the ranks' time that is spent waiting for the longest one, in [0, 1).
  double idle_share() const;
};

// Longest first: the client with the most work goes to the rank with the least so far (Graham 1969: at most
// 4/3 of the best possible length). Ties go to the earlier client and the lower rank, so all ranks compute
// the same. `work`: of each participant, for instance its images. REQUIRES: ranks > 0, work >= 0.
RankSchedule longest_first(std::span<const std::int64_t> work, int ranks);

}  // namespace rn::federated
