// Which clients an asynchronous server has in flight, and whose updates arrive when (FedBuff, Nguyen et al.
// 2022).
//
// The server keeps `cohort` clients in flight and takes a step whenever `buffer_size` updates have arrived. A
// client starts from the weights of the moment in which it is asked, so its update is stale by the steps
// taken since. Times are simulated (cohort.h) and do not depend on what the clients learn, so all of it is
// known without training: a step names its clients and how stale each is, and they can be trained then, in
// any order, from the weights that they started from.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "federated/cohort.h"
#include "federated/options.h"

namespace rn::federated {

// A client that trains, or whose answer is under way.
struct InFlight {
  std::int64_t client = 0;
  std::int64_t wave = 0;     // of requests, in which it was asked
  std::int64_t version = 0;  // server steps done by then: the weights that it got
  double arrival = 0;        // of its answer, in simulated seconds since the run's start

  bool operator==(const InFlight&) const = default;
};

// Not thread-safe.
class AsyncTimeline {
 public:
  // All that the timeline is between two server steps; the buffer is empty then.
  struct State {
    double clock = 0;              // simulated seconds
    std::int64_t waves = 0;        // of requests so far
    std::vector<InFlight> flight;  // ascending by (arrival, client)

    bool operator==(const State&) const = default;
  };

  // Borrows `cohorts`. REQUIRES: options.buffer_size is at most the number of clients.
  AsyncTimeline(const FederatedOptions& options, const CohortSampler& cohorts);

  // Goes on until buffer_size updates have arrived; `version`: server steps done. Their clients are the
  // participants, no client twice, each with its wave as its round, and its staleness. Whoever answers, drops
  // out (noticed when the answer was due) or is too stale (counted as late) leaves a place for another
  // client. A wave fills the free places after all arrivals of the same instant, with clients that are
  // neither in flight nor in the buffer; where there are none, places stay free until the step.
  Cohort next_step(std::int64_t version);

  // The versions before `version` that clients in flight started from and whose updates may still count,
  // ascending: at most as many as there are clients in flight, or max_staleness.
  std::vector<std::int64_t> older_versions(std::int64_t version) const;

  std::int64_t most_in_flight() const { return cohorts_.wanted(); }
  const State& state() const { return state_; }
  // Throws DataError for a state that no run of these options and `version` steps has.
  void restore(State state, std::int64_t version);

 private:
  void ask_idle(std::int64_t version, const std::vector<Participant>& buffer, Cohort& cohort);
  bool is_too_stale(std::int64_t staleness) const {
    return options_.max_staleness > 0 && staleness > options_.max_staleness;
  }

  const FederatedOptions options_;
  const CohortSampler& cohorts_;
  State state_;
};

// The factor on an update of this staleness (federated.staleness_weight): 1 / sqrt(1 + staleness), or 1.
double staleness_weight(const FederatedOptions& options, std::int64_t staleness);

}  // namespace rn::federated
