// Who takes part in a round, how much each does, and how long that takes in simulated time.
//
// All of it is drawn by (seed, round, client), so a resumed run and a run at another rank count see the same
// cohorts.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "federated/options.h"

namespace rn::federated {

// A client's part in a round.
struct Participant {
  std::int64_t client = 0;
  std::int64_t round = 0;      // in which it was asked, which all its draws are keyed by
  std::int64_t staleness = 0;  // server steps since it got its weights; above 0 in asynchronous runs only
  double epochs = 0;           // local epochs asked of it; 0 where federated.local_steps rules
  std::int64_t steps = 0;      // local optimizer steps that it takes, at least 1
  std::int64_t images = 0;     // images that these steps train on, repetitions included
  double work = 1;             // share of the steps asked for that it takes, in (0, 1]; below 1: a straggler
  double seconds = 0;          // simulated: weights down, steps, update up

  bool operator==(const Participant&) const = default;
};

struct Cohort {
  std::vector<Participant> participants;  // those that count, ascending by client
  std::int64_t asked = 0;                 // clients chosen
  std::int64_t dropped = 0;               // never answered
  std::int64_t late = 0;                  // answered behind the deadline, after enough others, or too stale
  std::int64_t received = 0;  // updates that came up to the server, those that it refuses included
  double seconds = 0;         // simulated length of the round
};

// What cohorts are drawn from; constant over a run.
struct CohortShape {
  std::vector<std::int64_t> client_images;  // [clients], images of each client
  std::int64_t batch = 0;                   // images of a local step
  bool drop_last = false;                   // leave out a local epoch's smaller last batch
  std::int64_t bytes_down = 0;              // to a client in a round
  std::int64_t bytes_up = 0;                // from it
};

// Immutable after construction, so safe to use from any thread.
class CohortSampler {
 public:
  // Throws ConfigError where `options` are impossible for so many clients (a cohort above the clients, ...).
  CohortSampler(const FederatedOptions& options, CohortShape shape, std::uint64_t seed);

  // Clients of a round that are wanted; for sampling: poisson their expected number.
  std::int64_t wanted() const { return wanted_; }

  // The cohort of a round. A client is asked with equal probability, or in proportion to its images (drawn
  // one after another without replacement), or (sampling: poisson) each by itself with probability cohort /
  // clients. Of those asked, over_selection times as many as wanted, the fastest `wanted` that neither drop
  // out nor miss the deadline count. The round ends with the last answer it needed; where answers are
  // missing, at the deadline, or without one at the last answer. May be empty: then the round changes
  // nothing.
  Cohort draw(std::int64_t round) const;

  // For asynchronous servers (async_timeline.h), where rounds are waves of requests: `count` clients without
  // those of `busy` (ascending), drawn as draw() does. REQUIRES: so many are idle; sampling is not poisson.
  std::vector<std::int64_t> ask(std::int64_t round, std::int64_t count,
                                std::span<const std::int64_t> busy) const;

  // The part of `client` in `round` if it is asked.
  Participant participant(std::int64_t round, std::int64_t client) const;

  // Whether the client, asked in that round, never answers.
  bool drops_out(std::int64_t round, std::int64_t client) const;

  std::int64_t clients() const { return static_cast<std::int64_t>(shape_.client_images.size()); }

  // Images per simulated second; the same in every round.
  double speed(std::int64_t client) const;

 private:
  std::vector<std::int64_t> asked_clients(std::int64_t round) const;

  FederatedOptions options_;
  CohortShape shape_;
  std::uint64_t seed_;
  std::int64_t wanted_ = 0;
  std::int64_t asked_ = 0;  // of a round, unless sampling is poisson
};

// Local steps of `epochs` epochs (fractions allowed) over `images` images, at least 1.
std::int64_t steps_of_epochs(double epochs, std::int64_t images, std::int64_t batch, bool drop_last);

}  // namespace rn::federated
