#include "federated/cohort.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/error.h"

namespace rn::federated {
namespace {

FederatedOptions options_of(double cohort, const std::string& sampling = "uniform") {
  FederatedOptions options;
  options.cohort = cohort;
  options.sampling = sampling;
  return options;
}

CohortShape shape_of(std::int64_t clients, std::int64_t images = 50, std::int64_t batch = 10) {
  return {.client_images = std::vector<std::int64_t>(static_cast<std::size_t>(clients), images),
          .batch = batch};
}

std::vector<std::int64_t> clients_of(const Cohort& cohort) {
  std::vector<std::int64_t> clients;
  for (const auto& part : cohort.participants) clients.push_back(part.client);
  return clients;
}

std::string refusal(const FederatedOptions& options, std::int64_t clients) {
  try {
    const CohortSampler sampler(options, shape_of(clients), 0);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing refused";
}

TEST(CohortTest, HasDifferentClientsInAscendingOrder) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    for (const std::string sampling : {"uniform", "by_size"}) {
      const CohortSampler sampler(options_of(1 + static_cast<double>(seed), sampling), shape_of(40), seed);
      const auto clients = clients_of(sampler.draw(static_cast<std::int64_t>(seed)));
      EXPECT_EQ(clients.size(), 1 + seed) << sampling << " seed " << seed;
      EXPECT_EQ(std::adjacent_find(clients.begin(), clients.end(), std::greater_equal<>()), clients.end());
      EXPECT_GE(clients.front(), 0);
      EXPECT_LT(clients.back(), 40);
    }
  }
}

TEST(CohortTest, IsAFunctionOfSeedAndRound) {
  auto options = options_of(0.2);
  options.dropout = 0.2;
  options.straggler = 0.5;
  options.speed_sigma = 1;
  const CohortSampler one(options, shape_of(100), 5), same(options, shape_of(100), 5),
      other(options, shape_of(100), 6);
  std::set<std::vector<std::int64_t>> seen;
  for (std::int64_t round = 0; round < 20; ++round) {
    EXPECT_EQ(one.draw(round).participants, same.draw(round).participants);
    EXPECT_NE(clients_of(one.draw(round)), clients_of(other.draw(round)));
    seen.insert(clients_of(one.draw(round)));
  }
  EXPECT_EQ(seen.size(), 20U);
}

TEST(CohortTest, ACountOrAShareOfTheClients) {
  EXPECT_EQ(CohortSampler(options_of(0.25), shape_of(10), 0).wanted(), 3);  // 2.5 rounds up
  EXPECT_EQ(CohortSampler(options_of(0.001), shape_of(10), 0).wanted(), 1);
  EXPECT_EQ(CohortSampler(options_of(1), shape_of(10), 0).wanted(), 1);
  EXPECT_EQ(CohortSampler(options_of(10), shape_of(10), 0).wanted(), 10);
}

TEST(CohortTest, UniformSamplingAsksEveryClientEquallyOften) {
  const CohortSampler sampler(options_of(5), shape_of(20), 3);
  std::vector<int> asked(20, 0);
  constexpr int kRounds = 8000;
  for (int round = 0; round < kRounds; ++round) {
    for (const auto client : clients_of(sampler.draw(round))) ++asked[static_cast<std::size_t>(client)];
  }
  for (const int times : asked) EXPECT_NEAR(times, kRounds / 4.0, 5 * std::sqrt(kRounds * 0.25 * 0.75));
}

TEST(CohortTest, BySizeFollowsTheSizes) {
  auto shape = shape_of(4);
  shape.client_images = {10, 20, 30, 40};
  const CohortSampler one(options_of(1, "by_size"), shape, 3);
  const CohortSampler two(options_of(2, "by_size"), shape, 3);
  constexpr int kRounds = 40000;
  std::vector<int> alone(4, 0);
  int pair = 0;  // {2, 3}
  for (int round = 0; round < kRounds; ++round) {
    ++alone[static_cast<std::size_t>(clients_of(one.draw(round))[0])];
    pair += clients_of(two.draw(round)) == std::vector<std::int64_t>{2, 3};
  }
  for (std::size_t client = 0; client < 4; ++client) {
    const double share = static_cast<double>(client + 1) / 10;
    EXPECT_NEAR(alone[client], kRounds * share, 5 * std::sqrt(kRounds * share * (1 - share)));
  }
  // One after the other: 0.3 * 0.4 / 0.7 + 0.4 * 0.3 / 0.6.
  const double share = 0.12 / 0.7 + 0.12 / 0.6;
  EXPECT_NEAR(pair, kRounds * share, 5 * std::sqrt(kRounds * share * (1 - share)));
}

TEST(CohortTest, PoissonSamplingDrawsEveryClientByItself) {
  const CohortSampler sampler(options_of(5, "poisson"), shape_of(50), 3);
  constexpr int kRounds = 20000;
  double sum = 0, squares = 0, both = 0;
  std::vector<int> asked(50, 0);
  for (int round = 0; round < kRounds; ++round) {
    const auto clients = clients_of(sampler.draw(round));
    sum += static_cast<double>(clients.size());
    squares += static_cast<double>(clients.size() * clients.size());
    for (const auto client : clients) ++asked[static_cast<std::size_t>(client)];
    both += std::count(clients.begin(), clients.end(), 0) == 1 &&
            std::count(clients.begin(), clients.end(), 1) == 1;
  }
  EXPECT_NEAR(sum / kRounds, 5, 5 * std::sqrt(4.5 / kRounds));
  EXPECT_NEAR(squares / kRounds - sum / kRounds * (sum / kRounds), 4.5, 0.3);  // binomial
  EXPECT_NEAR(both / kRounds, 0.01, 0.004);
  for (const int times : asked) EXPECT_NEAR(times, kRounds * 0.1, 5 * std::sqrt(kRounds * 0.09));
}

TEST(CohortTest, PoissonWithEveryoneIsEveryone) {
  const CohortSampler sampler(options_of(7, "poisson"), shape_of(7), 3);
  EXPECT_EQ(sampler.draw(0).participants.size(), 7U);
}

TEST(CohortTest, LocalWorkIsCountedInStepsAndImages) {
  EXPECT_EQ(steps_of_epochs(1, 50, 10, false), 5);
  EXPECT_EQ(steps_of_epochs(3, 51, 10, false), 18);
  EXPECT_EQ(steps_of_epochs(3, 59, 10, true), 15);
  EXPECT_EQ(steps_of_epochs(2, 5, 10, true), 2);  // a client smaller than a batch trains on what it has
  EXPECT_EQ(steps_of_epochs(0.5, 50, 10, false), 3);
  EXPECT_EQ(steps_of_epochs(0.01, 50, 10, false), 1);

  auto options = options_of(1);
  options.local_epochs = 2;
  const auto images = [&](std::int64_t of_client, std::int64_t batch, bool drop_last) {
    auto shape = shape_of(1, of_client, batch);
    shape.drop_last = drop_last;
    return CohortSampler(options, shape, 0).participant(0, 0).images;
  };
  EXPECT_EQ(images(51, 10, false), 102);
  EXPECT_EQ(images(51, 10, true), 100);
  EXPECT_EQ(images(7, 10, true), 14);
  options.local_steps = 8;  // one epoch of 6 steps (51 images) and two steps
  EXPECT_EQ(images(51, 10, false), 71);
}

TEST(CohortTest, LocalEpochsAreDrawnPerRoundAndClient) {
  auto options = options_of(10);
  options.local_epochs = 5;
  options.local_epochs_min = 1;
  const CohortSampler sampler(options, shape_of(10), 2);
  std::map<double, int> seen;
  for (std::int64_t round = 0; round < 500; ++round) {
    for (const auto& part : sampler.draw(round).participants) {
      ++seen[part.epochs];
      EXPECT_EQ(part.steps, static_cast<std::int64_t>(part.epochs) * 5);
    }
  }
  ASSERT_EQ(seen.size(), 5U);
  for (const auto& [epochs, times] : seen) {
    EXPECT_GE(epochs, 1);
    EXPECT_LE(epochs, 5);
    EXPECT_NEAR(times, 1000, 150);
  }
}

TEST(CohortTest, StragglersDoAPartOfTheirWork) {
  auto options = options_of(10);
  options.local_epochs = 4;  // 20 steps
  options.straggler = 0.3;
  const CohortSampler sampler(options, shape_of(10), 2);
  int stragglers = 0;
  double work = 0;
  for (std::int64_t round = 0; round < 500; ++round) {
    for (const auto& part : sampler.draw(round).participants) {
      EXPECT_EQ(part.steps, static_cast<std::int64_t>(std::ceil(part.work * 20)));
      EXPECT_GE(part.steps, 1);
      if (part.work == 1) continue;
      ++stragglers;
      work += part.work;
    }
  }
  EXPECT_NEAR(stragglers, 1500, 160);
  EXPECT_NEAR(work / stragglers, 0.5, 0.04);
}

TEST(CohortTest, DropoutsAreMissing) {
  auto options = options_of(20);
  options.dropout = 0.25;
  const CohortSampler sampler(options, shape_of(100), 2);
  std::int64_t dropped = 0;
  for (std::int64_t round = 0; round < 500; ++round) {
    const auto cohort = sampler.draw(round);
    EXPECT_EQ(cohort.asked, 20);
    EXPECT_EQ(cohort.asked, static_cast<std::int64_t>(cohort.participants.size()) + cohort.dropped);
    for (const auto& part : cohort.participants) EXPECT_FALSE(sampler.drops_out(round, part.client));
    dropped += cohort.dropped;
  }
  EXPECT_NEAR(static_cast<double>(dropped), 2500, 220);
}

TEST(CohortTest, SecondsAreTransportAndImagesOverSpeed) {
  auto options = options_of(2);
  options.client_speed = 20;
  options.client_bandwidth = 1000;
  auto shape = shape_of(2);
  shape.bytes_down = 4000;
  shape.bytes_up = 500;
  const CohortSampler sampler(options, shape, 0);
  const auto cohort = sampler.draw(0);
  EXPECT_DOUBLE_EQ(cohort.participants[0].seconds, 50 / 20.0 + 4.5);
  EXPECT_DOUBLE_EQ(cohort.seconds, 7.0);
}

TEST(CohortTest, SpeedsAreLogNormalAndAClientKeepsItsOwn) {
  auto options = options_of(1);
  options.client_speed = 300;
  options.speed_sigma = 0.7;
  const CohortSampler sampler(options, shape_of(20000), 4);
  double sum = 0, squares = 0;
  for (std::int64_t client = 0; client < 20000; ++client) {
    const double log_speed = std::log(sampler.speed(client) / 300);
    sum += log_speed;
    squares += log_speed * log_speed;
    EXPECT_EQ(sampler.participant(3, client).seconds, 50 / sampler.speed(client));
  }
  EXPECT_NEAR(sum / 20000, 0, 0.025);
  EXPECT_NEAR(std::sqrt(squares / 20000), 0.7, 0.02);
}

TEST(CohortTest, OverSelectionKeepsTheFastest) {
  auto options = options_of(10);
  options.over_selection = 1.5;
  options.speed_sigma = 1;
  const CohortSampler sampler(options, shape_of(50), 4);
  auto all = options;
  all.over_selection = 1;
  all.cohort = 15;
  const CohortSampler everyone(all, shape_of(50), 4);
  for (std::int64_t round = 0; round < 20; ++round) {
    const auto cohort = sampler.draw(round);
    auto asked = everyone.draw(round).participants;
    std::sort(asked.begin(), asked.end(), [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
    EXPECT_EQ(cohort.asked, 15);
    EXPECT_EQ(cohort.late, 5);
    EXPECT_EQ(cohort.seconds, asked[9].seconds);
    std::set<std::int64_t> fastest;
    for (std::size_t i = 0; i < 10; ++i) fastest.insert(asked[i].client);
    const auto counted = clients_of(cohort);
    EXPECT_EQ(std::set(counted.begin(), counted.end()), fastest);
  }
}

TEST(CohortTest, BehindTheDeadlineNobodyCounts) {
  auto options = options_of(20);
  options.speed_sigma = 1;
  options.client_speed = 50;  // the median client needs one second
  options.round_deadline = 1;
  const CohortSampler sampler(options, shape_of(50), 4);
  std::int64_t late = 0;
  for (std::int64_t round = 0; round < 50; ++round) {
    const auto cohort = sampler.draw(round);
    for (const auto& part : cohort.participants) EXPECT_LE(part.seconds, 1.0);
    EXPECT_EQ(static_cast<std::int64_t>(cohort.participants.size()) + cohort.late, 20);
    if (cohort.late > 0) {
      EXPECT_EQ(cohort.seconds, 1.0);
    }
    late += cohort.late;
  }
  EXPECT_GT(late, 200);
  EXPECT_LT(late, 800);
}

TEST(CohortTest, ARoundMayBeEmpty) {
  auto options = options_of(3);
  options.client_speed = 1;
  options.round_deadline = 0.5;
  const auto cohort = CohortSampler(options, shape_of(5), 1).draw(0);
  EXPECT_TRUE(cohort.participants.empty());
  EXPECT_EQ(cohort.late, 3);
  EXPECT_EQ(cohort.seconds, 0.5);
}

TEST(CohortTest, RefusesImpossibleCohorts) {
  EXPECT_NE(refusal(options_of(11), 10).find("more than the 10"), std::string::npos);
  EXPECT_NE(refusal(options_of(2.5), 10).find("neither a share"), std::string::npos);
  EXPECT_NE(refusal(options_of(0), 10).find("neither a share"), std::string::npos);
  EXPECT_NE(refusal(options_of(5, "by_age"), 10).find("unknown: by_age"), std::string::npos);
  auto over = options_of(6);
  over.over_selection = 2;
  EXPECT_NE(refusal(over, 10).find("federated.over_selection: 2 times the cohort of 6"), std::string::npos);
  over.sampling = "poisson";
  EXPECT_NE(refusal(over, 20).find("no fixed cohort"), std::string::npos);
}

}  // namespace
}  // namespace rn::federated
