#include "federated/async_timeline.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace rn::federated {
namespace {

bool arrives_before(const InFlight& a, const InFlight& b) {
  return std::pair(a.arrival, a.client) < std::pair(b.arrival, b.client);
}

}  // namespace

double staleness_weight(const FederatedOptions& options, std::int64_t staleness) {
  return options.staleness_weight == "none" ? 1 : 1 / std::sqrt(1 + static_cast<double>(staleness));
}

AsyncTimeline::AsyncTimeline(const FederatedOptions& options, const CohortSampler& cohorts)
    : options_(options), cohorts_(cohorts) {
  RN_CHECK(0 < options.buffer_size && options.buffer_size <= cohorts.clients(), options.buffer_size,
           " updates of ", cohorts.clients(), " clients");
}

Cohort AsyncTimeline::next_step(std::int64_t version) {
  Cohort cohort;
  auto& flight = state_.flight;
  auto& buffer = cohort.participants;
  const double started = state_.clock;
  while (static_cast<std::int64_t>(buffer.size()) < options_.buffer_size) {
    // All arrivals of an instant come first: who is asked in it gets the weights of the steps that they make.
    if (flight.empty() || flight.front().arrival > state_.clock) ask_idle(version, buffer, cohort);
    RN_CHECK(!flight.empty());
    const InFlight first = flight.front();
    flight.erase(flight.begin());
    state_.clock = first.arrival;
    const std::int64_t staleness = version - first.version;
    if (cohorts_.drops_out(first.wave, first.client)) {
      ++cohort.dropped;
    } else if (is_too_stale(staleness)) {
      ++cohort.late;
    } else {
      buffer.push_back(cohorts_.participant(first.wave, first.client));
      buffer.back().staleness = staleness;
    }
  }
  cohort.received = options_.buffer_size + cohort.late;
  cohort.seconds = state_.clock - started;
  std::sort(buffer.begin(), buffer.end(), [](const auto& a, const auto& b) { return a.client < b.client; });
  return cohort;
}

void AsyncTimeline::ask_idle(std::int64_t version, const std::vector<Participant>& buffer, Cohort& cohort) {
  auto& flight = state_.flight;
  std::vector<std::int64_t> busy;
  for (const auto& client : flight) busy.push_back(client.client);
  for (const auto& part : buffer) busy.push_back(part.client);
  std::sort(busy.begin(), busy.end());
  const auto free = most_in_flight() - static_cast<std::int64_t>(flight.size());
  const auto idle = cohorts_.clients() - static_cast<std::int64_t>(busy.size());
  const std::int64_t count = std::min(free, idle);
  if (count == 0) return;
  const std::int64_t wave = state_.waves++;
  const auto known = static_cast<std::ptrdiff_t>(flight.size());
  for (const std::int64_t client : cohorts_.ask(wave, count, busy)) {
    flight.push_back({client, wave, version, state_.clock + cohorts_.participant(wave, client).seconds});
  }
  std::sort(flight.begin() + known, flight.end(), arrives_before);
  std::inplace_merge(flight.begin(), flight.begin() + known, flight.end(), arrives_before);
  cohort.asked += count;
}

std::vector<std::int64_t> AsyncTimeline::older_versions(std::int64_t version) const {
  std::vector<std::int64_t> versions;
  for (const auto& [client, wave, start, arrival] : state_.flight) {
    if (start < version && !is_too_stale(version - start) && !cohorts_.drops_out(wave, client)) {
      versions.push_back(start);
    }
  }
  std::sort(versions.begin(), versions.end());
  versions.erase(std::unique(versions.begin(), versions.end()), versions.end());
  return versions;
}

void AsyncTimeline::restore(State state, std::int64_t version) {
  const auto is_possible = [&](const InFlight& each) {
    return 0 <= each.client && each.client < cohorts_.clients() && 0 <= each.wave &&
           each.wave < state.waves && 0 <= each.version && each.version <= version &&
           each.arrival >= state.clock;
  };
  const auto& flight = state.flight;
  if (static_cast<std::int64_t>(flight.size()) > most_in_flight() ||
      !std::all_of(flight.begin(), flight.end(), is_possible) ||
      !std::is_sorted(flight.begin(), flight.end(), arrives_before)) {
    throw DataError("the checkpoint's clients in flight are not those of a run with this configuration");
  }
  state_ = std::move(state);
}

}  // namespace rn::federated
