// Reports a rank that is constantly slower than the others, and where every rank's time went.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "dist/rank_times.h"
#include "dist/session.h"

namespace rn::train {

class StragglerWatch {
 public:
  explicit StragglerWatch(dist::Session& session);  // borrowed

  // Collective. Rank 0 warns of a rank that kept the others waiting since the last call.
  void end_of_epoch();

  // Collective. Since the start of the process, by rank: {rank, host, seconds in init, data, step, eval and
  // checkpoint, and of those in collectives}.
  nlohmann::json totals();

 private:
  std::vector<dist::RankTimes> gather() const;

  dist::Session& session_;
  std::vector<dist::RankTimes> before_;  // at the last end_of_epoch
};

}  // namespace rn::train
