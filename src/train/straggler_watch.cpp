#include "train/straggler_watch.h"

#include <cmath>
#include <string>

#include "core/log.h"

namespace rn::train {
namespace {

double milliseconds_rounded(double seconds) { return std::round(seconds * 1e3) / 1e3; }

}  // namespace

StragglerWatch::StragglerWatch(dist::Session& session) : session_(session) {}

std::vector<dist::RankTimes> StragglerWatch::gather() const {
  return dist::gather_times(session_.board(), session_.host());
}

void StragglerWatch::end_of_epoch() {
  if (session_.host().world_size() == 1) return;
  const auto now = gather();
  if (before_.empty()) {
    // The first epoch starts with what every start is busy with; later ones are compared.
    before_ = now;
    return;
  }
  std::vector<dist::RankTimes> epoch;
  for (std::size_t r = 0; r < now.size(); ++r) epoch.push_back(now[r] - before_[r]);
  before_ = now;
  const std::string line = dist::describe_straggler(epoch);
  if (!line.empty() && session_.host().rank() == 0) log_warning(line);
}

nlohmann::json StragglerWatch::totals() {
  auto ranks = nlohmann::json::array();
  const auto times = gather();
  for (std::size_t r = 0; r < times.size(); ++r) {
    nlohmann::json rank = {{"rank", r}, {"host", times[r].host.data()}};
    double collectives = 0;
    for (int p = 0; p < dist::kPhases; ++p) {
      const auto phase = static_cast<dist::Phase>(p);
      const auto at = static_cast<std::size_t>(p);
      collectives += times[r].collective[at];
      if (phase == dist::Phase::kFinished || phase == dist::Phase::kEnding) continue;
      rank[std::string(dist::name_of(phase))] = milliseconds_rounded(times[r].phase[at]);
    }
    rank["collectives"] = milliseconds_rounded(collectives);
    ranks.push_back(std::move(rank));
  }
  return ranks;
}

}  // namespace rn::train
