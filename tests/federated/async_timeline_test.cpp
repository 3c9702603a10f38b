#include "federated/async_timeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/error.h"

namespace rn::federated {
namespace {

FederatedOptions options_of(std::int64_t in_flight, std::int64_t buffer) {
  FederatedOptions options;
  options.algorithm = "fedbuff";
  options.cohort = static_cast<double>(in_flight);
  options.buffer_size = buffer;
  options.client_speed = 10;
  return options;
}

CohortShape shape_of(std::vector<std::int64_t> client_images) {
  return {.client_images = std::move(client_images), .batch = 10};
}

CohortShape equal_shape(std::int64_t clients) {
  return shape_of(std::vector<std::int64_t>(static_cast<std::size_t>(clients), 50));
}

std::vector<std::int64_t> clients_of(const Cohort& cohort) {
  std::vector<std::int64_t> clients;
  for (const auto& part : cohort.participants) clients.push_back(part.client);
  return clients;
}

TEST(AsyncTimelineTest, EqualClientsAndABufferOfAllInFlightAreTheRoundsOfFedAvg) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    for (const std::string sampling : {"uniform", "by_size"}) {
      auto options = options_of(6, 6);
      options.sampling = sampling;
      const CohortSampler cohorts(options, equal_shape(20), seed);
      AsyncTimeline timeline(options, cohorts);
      for (std::int64_t round = 0; round < 20; ++round) {
        const auto step = timeline.next_step(round), expected = cohorts.draw(round);
        EXPECT_EQ(step.participants, expected.participants) << sampling << ", seed " << seed;
        EXPECT_EQ(step.asked, expected.asked);
        EXPECT_DOUBLE_EQ(step.seconds, expected.seconds);
        EXPECT_TRUE(timeline.state().flight.empty());
      }
    }
  }
}

// By hand: all of three clients in flight, a step per update. Client i needs i + 1 seconds.
TEST(AsyncTimelineTest, FollowsTheScheduleComputedByHand) {
  auto options = options_of(3, 1);
  const CohortSampler cohorts(options, shape_of({10, 20, 30}), 0);
  AsyncTimeline timeline(options, cohorts);
  struct Step {
    std::int64_t client, staleness;
    double clock;
  };
  // All three are asked at 0, and each again when it has answered, since no other is idle. At the same
  // instant all arrivals come first, in the order of clients.
  const Step expected[] = {{0, 0, 1}, {0, 0, 2}, {1, 2, 2}, {0, 0, 3}, {2, 4, 3}, {0, 0, 4}, {1, 3, 4}};
  std::int64_t version = 0;
  for (const auto& [client, staleness, clock] : expected) {
    const auto step = timeline.next_step(version++);
    ASSERT_EQ(step.participants.size(), 1u);
    EXPECT_EQ(step.participants[0].client, client) << version;
    EXPECT_EQ(step.participants[0].staleness, staleness) << version;
    EXPECT_EQ(timeline.state().clock, clock) << version;
  }
}

// Whatever the speeds: the places in flight are filled, nobody is asked twice at a time, and staleness is the
// number of steps since the wave.
TEST(AsyncTimelineTest, KeepsItsPromisesForUnequalClients) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::int64_t in_flight = 2 + static_cast<std::int64_t>(seed);
    auto options = options_of(in_flight, 1 + static_cast<std::int64_t>(seed % 7));
    options.speed_sigma = 1;
    options.straggler = 0.3;
    options.dropout = seed % 2 == 0 ? 0.2 : 0;
    options.sampling = seed % 3 == 0 ? "by_size" : "uniform";
    const CohortSampler cohorts(options, equal_shape(in_flight + 10), seed);
    AsyncTimeline timeline(options, cohorts);
    std::map<std::int64_t, std::int64_t> version_of_wave;
    double clock = 0;
    std::int64_t asked = 0, answered = 0;
    for (std::int64_t version = 0; version < 60; ++version) {
      const std::int64_t waves = timeline.state().waves;
      const auto step = timeline.next_step(version);
      for (auto wave = waves; wave < timeline.state().waves; ++wave) version_of_wave[wave] = version;
      const auto clients = clients_of(step);
      EXPECT_EQ(static_cast<std::int64_t>(clients.size()), options.buffer_size);
      EXPECT_EQ(std::adjacent_find(clients.begin(), clients.end(), std::greater_equal<>()), clients.end())
          << "seed " << seed;
      for (const auto& part : step.participants) {
        EXPECT_EQ(part.staleness, version - version_of_wave.at(part.round)) << "seed " << seed;
        EXPECT_FALSE(cohorts.drops_out(part.round, part.client));
      }
      const auto& state = timeline.state();
      EXPECT_GE(state.clock, clock);
      clock = state.clock;
      std::set<std::int64_t> busy;
      for (const auto& each : state.flight) busy.insert(each.client);
      EXPECT_EQ(busy.size(), state.flight.size()) << "seed " << seed;
      EXPECT_LE(static_cast<std::int64_t>(state.flight.size()), in_flight);
      const auto older = timeline.older_versions(version + 1);
      EXPECT_LE(older.size(), state.flight.size());
      asked += step.asked;
      answered += static_cast<std::int64_t>(clients.size()) + step.dropped + step.late;
      EXPECT_EQ(asked - answered, static_cast<std::int64_t>(state.flight.size())) << "seed " << seed;
    }
    EXPECT_GE(asked, in_flight);
  }
}

TEST(AsyncTimelineTest, AStateGoesOnAsIfThereHadBeenNoCut) {
  auto options = options_of(8, 3);
  options.speed_sigma = 1.5;
  options.dropout = 0.1;
  const CohortSampler cohorts(options, equal_shape(30), 4);
  AsyncTimeline whole(options, cohorts), cut(options, cohorts);
  std::int64_t version = 0;
  for (; version < 10; ++version) whole.next_step(version);
  cut.restore(whole.state(), version);
  for (; version < 30; ++version) {
    EXPECT_EQ(cut.next_step(version).participants, whole.next_step(version).participants);
  }
  EXPECT_EQ(cut.state(), whole.state());
}

TEST(AsyncTimelineTest, StaleUpdatesAreThrownAwayAndBoundTheVersions) {
  auto options = options_of(12, 2);
  options.speed_sigma = 2;
  const CohortSampler cohorts(options, equal_shape(40), 1);
  AsyncTimeline free(options, cohorts);
  options.max_staleness = 3;
  AsyncTimeline bounded(options, cohorts);
  std::int64_t stalest = 0, late = 0;
  std::size_t versions = 0;
  for (std::int64_t version = 0; version < 200; ++version) {
    for (const auto& part : free.next_step(version).participants) stalest = std::max(stalest, part.staleness);
    const auto step = bounded.next_step(version);
    late += step.late;
    EXPECT_EQ(step.received, options.buffer_size + step.late);
    for (const auto& part : step.participants) EXPECT_LE(part.staleness, 3);
    versions = std::max(versions, bounded.older_versions(version + 1).size());
  }
  EXPECT_GT(stalest, 3);
  EXPECT_GT(late, 0);
  EXPECT_EQ(versions, 3u);
}

TEST(AsyncTimelineTest, MoreUpdatesThanClientsInFlightAreCollectedWaveByWave) {
  auto options = options_of(2, 9);
  const CohortSampler cohorts(options, equal_shape(9), 1);
  AsyncTimeline timeline(options, cohorts);
  const auto step = timeline.next_step(0);
  EXPECT_EQ(clients_of(step), (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(step.seconds, 25) << "five waves of at most two clients, 5 seconds each";
}

// The faster clients answer more often, which is the bias that FedBuff's authors name.
TEST(AsyncTimelineTest, FastClientsAnswerMoreOften) {
  auto options = options_of(10, 5);
  const CohortSampler cohorts(options, shape_of({10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 200, 200}), 1);
  AsyncTimeline timeline(options, cohorts);
  std::vector<int> answers(12, 0);
  for (std::int64_t version = 0; version < 400; ++version) {
    for (const auto client : clients_of(timeline.next_step(version))) {
      ++answers[static_cast<std::size_t>(client)];
    }
  }
  for (std::size_t fast = 0; fast < 10; ++fast) EXPECT_GT(answers[fast], 3 * answers[10]) << fast;
  EXPECT_GT(answers[10], 0);
}

TEST(AsyncTimelineTest, AStateOfAnotherRunIsRefused) {
  const auto options = options_of(3, 1);
  const CohortSampler cohorts(options, equal_shape(5), 0);
  AsyncTimeline timeline(options, cohorts);
  timeline.next_step(0);
  const AsyncTimeline::State good = timeline.state();
  ASSERT_EQ(good.flight.size(), 2u);
  const auto refuses = [&](auto change) {
    auto state = good;
    change(state);
    EXPECT_THROW(timeline.restore(state, 1), DataError);
  };
  refuses([](auto& state) { state.flight[0].client = 5; });
  refuses([](auto& state) { state.flight[0].wave = state.waves; });
  refuses([](auto& state) { state.flight[1].version = 2; });
  refuses([](auto& state) { state.flight[0].arrival = 1e9; });
  refuses([](auto& state) { state.flight.resize(4, state.flight[1]); });
  timeline.restore(good, 1);
  EXPECT_EQ(timeline.state(), good);
}

TEST(AsyncTimelineTest, StalenessIsWeighedAsInThePaper) {
  auto options = options_of(3, 1);
  EXPECT_EQ(staleness_weight(options, 0), 1);
  EXPECT_DOUBLE_EQ(staleness_weight(options, 3), 0.5);
  options.staleness_weight = "none";
  EXPECT_EQ(staleness_weight(options, 3), 1);
}

}  // namespace
}  // namespace rn::federated
