#include "dist/rank_times.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "core/error.h"
#include "core/host_name.h"
#include "dist/monotonic_clock.h"

namespace rn::dist {
namespace {

// Below these a rank that is a little later than another is everyday life.
constexpr double kNotableShare = 0.1;
constexpr double kNotableSeconds = 1.0;

constexpr std::array kTraining = {Phase::kData, Phase::kStep};

double training(const std::array<double, kPhases>& seconds) {
  double sum = 0;
  for (const Phase phase : kTraining) sum += seconds[static_cast<std::size_t>(phase)];
  return sum;
}

std::string tenths(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << value << " s";
  return text.str();
}

}  // namespace

RankTimes operator-(RankTimes later, const RankTimes& earlier) {
  for (std::size_t i = 0; i < later.phase.size(); ++i) {
    later.phase[i] -= earlier.phase[i];
    later.collective[i] -= earlier.collective[i];
  }
  return later;
}

std::vector<RankTimes> gather_times(const ProgressBoard& board, Communicator& host) {
  const BoardRow& row = board.mine();
  RankTimes mine;
  for (std::size_t i = 0; i < mine.phase.size(); ++i) {
    mine.phase[i] = static_cast<double>(row.phase_ns[i].load()) * 1e-9;
    mine.collective[i] = static_cast<double>(row.collective_ns[i].load()) * 1e-9;
  }
  mine.phase[row.phase.load()] += static_cast<double>(monotonic_ns() - row.since_ns.load()) * 1e-9;
  const std::string name = host_name();
  std::copy_n(name.begin(), std::min(name.size(), mine.host.size() - 1), mine.host.begin());
  std::vector<RankTimes> all(static_cast<std::size_t>(host.world_size()));
  host.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all))).wait();
  return all;
}

Straggler find_straggler(std::span<const RankTimes> times) {
  if (times.size() < 2) return {};
  // Ranks train in lockstep, so who waits least in the collectives is the one the others wait for.
  const auto by_waiting = [](const RankTimes& a, const RankTimes& b) {
    return training(a.collective) < training(b.collective);
  };
  const auto [least, most] = std::minmax_element(times.begin(), times.end(), by_waiting);
  Straggler found;
  found.late_seconds = training(most->collective) - training(least->collective);
  found.of_seconds = training(least->phase);
  if (found.late_seconds < std::max(kNotableSeconds, kNotableShare * found.of_seconds)) return {};
  // One rank, not half of them: the next slowest must have waited for it too.
  double next = training(most->collective);
  for (auto it = times.begin(); it != times.end(); ++it) {
    if (it != least) next = std::min(next, training(it->collective));
  }
  if (next - training(least->collective) < found.late_seconds / 2) return {};
  found.rank = static_cast<int>(least - times.begin());
  return found;
}

std::string describe_straggler(std::span<const RankTimes> times) {
  const Straggler found = find_straggler(times);
  if (found.rank < 0) return {};
  const RankTimes& slow = times[static_cast<std::size_t>(found.rank)];
  std::string text =
      cat("rank ", found.rank, " on ", slow.host.data(), " is slower than the others: they waited ",
          tenths(found.late_seconds), " for it in ", tenths(found.of_seconds), " of training. Its own time:");
  for (const Phase phase : kTraining) {
    const auto i = static_cast<std::size_t>(phase);
    text += cat(phase == kTraining.front() ? " " : ", ", name_of(phase), " ",
                tenths(std::max(0.0, slow.phase[i] - slow.collective[i])));
  }
  return text;
}

}  // namespace rn::dist
