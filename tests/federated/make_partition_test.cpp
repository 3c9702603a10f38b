#include "federated/make_partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "core/error.h"
#include "federated/partition_testing.h"

namespace rn::federated {
namespace {

using testing_partitions::mixed_labels;
using testing_partitions::options_of;

const std::vector<std::string> kDrawn = {"iid",    "dirichlet_class", "dirichlet_client",
                                         "labels", "shards",          "quantity"};

// How often each image is held.
std::vector<int> times_held(const Partition& partition, std::size_t images) {
  std::vector<int> times(images, 0);
  for (std::int64_t client = 0; client < partition.clients(); ++client) {
    for (const auto image : partition.of(client)) ++times.at(image);
  }
  return times;
}

std::string refusal(const FederatedOptions& options, const LabelView& data) {
  try {
    make_partition(options, data, 1);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "nothing refused";
}

TEST(MakePartitionTest, EveryImageBelongsToExactlyOneClientAndEveryClientHasOne) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const int classes = 2 + static_cast<int>(seed % 9);
    const auto labels = mixed_labels(classes, 40 + static_cast<int>(seed), seed);
    const LabelView data = {labels, classes};
    for (const auto& kind : kDrawn) {
      auto options = options_of(kind, 10 + static_cast<std::int64_t>(seed), 1.0);
      const auto partition = make_partition(options, data, seed);
      ASSERT_EQ(partition.clients(), options.clients) << kind << " seed " << seed;
      ASSERT_EQ(partition.total(), static_cast<std::int64_t>(labels.size())) << kind << " seed " << seed;
      const auto times = times_held(partition, labels.size());
      EXPECT_EQ(std::count(times.begin(), times.end(), 1), static_cast<std::ptrdiff_t>(times.size()))
          << kind << " seed " << seed;
      for (std::int64_t client = 0; client < partition.clients(); ++client) {
        EXPECT_GT(partition.size(client), 0) << kind << " seed " << seed;
        EXPECT_TRUE(std::is_sorted(partition.of(client).begin(), partition.of(client).end()));
      }
    }
  }
}

TEST(MakePartitionTest, IsAFunctionOfTheSeed) {
  const auto labels = mixed_labels(10, 50);
  for (const auto& kind : kDrawn) {
    const auto options = options_of(kind, 20, 1.0);
    std::set<std::uint64_t> fingerprints;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const auto partition = make_partition(options, {labels, 10}, seed);
      EXPECT_EQ(partition, make_partition(options, {labels, 10}, seed)) << kind;
      fingerprints.insert(partition.fingerprint());
    }
    EXPECT_EQ(fingerprints.size(), 10U) << kind << ": two seeds gave one partition";
  }
}

TEST(MakePartitionTest, StaysWhatItWasInEarlierVersions) {
  const auto labels = mixed_labels(10, 50);
  const std::map<std::string, std::uint64_t> known = {{"iid", 14465302560694981203U},
                                                      {"dirichlet_class", 5167920348247307733U},
                                                      {"dirichlet_client", 17704454126611434036U},
                                                      {"labels", 8314529724015651959U},
                                                      {"shards", 15150894780249863525U},
                                                      {"quantity", 17096207091431077628U}};
  for (const auto& kind : kDrawn) {
    EXPECT_EQ(make_partition(options_of(kind, 20, 1.0), {labels, 10}, 7).fingerprint(), known.at(kind))
        << kind;
  }
}

TEST(MakePartitionTest, IidSizesDifferByOneAtMost) {
  const auto labels = mixed_labels(10, 103);
  const auto partition = make_partition(options_of("iid", 7), {labels, 10}, 3);
  for (std::int64_t client = 0; client < 7; ++client)
    EXPECT_NEAR(static_cast<double>(partition.size(client)), 1030 / 7.0, 1.0);
}

TEST(MakePartitionTest, IidClassesAreHypergeometric) {
  const auto labels = mixed_labels(10, 500);
  double sum = 0, squares = 0;
  constexpr int kSeeds = 40;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto counts = class_counts(make_partition(options_of("iid", 50), {labels, 10}, seed), {labels, 10});
    for (const auto count : counts) {
      sum += static_cast<double>(count);
      squares += static_cast<double>(count) * static_cast<double>(count);
    }
  }
  const double cells = kSeeds * 500.0;
  const double mean = sum / cells;
  EXPECT_DOUBLE_EQ(mean, 10.0);
  // 100 drawn of 5000, 500 of which are of the class: 100 * 0.1 * 0.9 * (4900 / 4999).
  EXPECT_NEAR(squares / cells - mean * mean, 8.822, 0.3);
}

TEST(MakePartitionTest, DirichletClientsHaveTheirLabelDistributionFromTheDirichlet) {
  // Small clients and far more images than they take: no class runs out, so counts are
  // Dirichlet-multinomial with known mean and variance.
  const auto labels = mixed_labels(10, 4000);
  constexpr std::int64_t kClients = 400;
  constexpr double kSize = 20;
  for (const double alpha : {0.1, 0.5, 5.0}) {
    auto options = options_of("dirichlet_client", kClients, alpha);
    options.client_samples = static_cast<std::int64_t>(kSize);
    double squares = 0;
    std::vector<double> sums(10, 0.0);
    constexpr int kSeeds = 10;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      const auto partition = make_partition(options, {labels, 10}, seed);
      const auto counts = class_counts(partition, {labels, 10});
      for (std::int64_t client = 0; client < kClients; ++client) EXPECT_EQ(partition.size(client), 20);
      for (std::size_t i = 0; i < counts.size(); ++i) {
        const auto count = static_cast<double>(counts[i]);
        squares += (count - kSize / 10) * (count - kSize / 10);
        sums[i % 10] += count;
      }
    }
    const double total = 10 * alpha;
    const double variance = kSize * 0.1 * 0.9 * (kSize + total) / (1 + total);
    EXPECT_NEAR(squares / (kSeeds * kClients * 10.0), variance, 0.05 * variance) << "alpha " << alpha;
    for (const double sum : sums) {
      EXPECT_NEAR(sum / (kSeeds * kClients), kSize / 10, 5 * std::sqrt(variance / (kSeeds * kClients)));
    }
  }
}

TEST(MakePartitionTest, ManyClientsShareImagesButNoneHoldsOneTwice) {
  const auto labels = mixed_labels(10, 30);
  for (const std::string kind : {"iid", "dirichlet_client"}) {
    auto options = options_of(kind, 500, 0.1);
    options.client_samples = 40;
    const auto partition = make_partition(options, {labels, 10}, 5);
    EXPECT_EQ(partition.total(), 500 * 40);
    for (std::int64_t client = 0; client < 500; ++client) {
      const auto held = partition.of(client);
      ASSERT_EQ(held.size(), 40U);
      ASSERT_EQ(std::adjacent_find(held.begin(), held.end()), held.end()) << kind << " client " << client;
    }
    // Dealt in whole rounds: within a class no image is more than two rounds ahead of another.
    const auto times = times_held(partition, labels.size());
    for (int k = 0; k < 10; ++k) {
      int fewest = 1 << 30, most = 0;
      for (std::size_t i = 0; i < times.size(); ++i) {
        if (labels[i] != k) continue;
        fewest = std::min(fewest, times[i]);
        most = std::max(most, times[i]);
      }
      EXPECT_LE(most - fewest, 2) << kind << " class " << k;
    }
  }
}

TEST(MakePartitionTest, AMillionClientsCostTheirIndexLists) {
  const auto labels = mixed_labels(10, 1000);
  auto options = options_of("dirichlet_client", 1000000, 0.1);
  options.client_samples = 5;
  const auto partition = make_partition(options, {labels, 10}, 5);
  EXPECT_EQ(partition.clients(), 1000000);
  EXPECT_EQ(partition.total(), 5000000);
  EXPECT_EQ(partition.of(999999).size(), 5U);
}

// Flower's draws of the same data set, see tools/golden/make_partition_golden.py: means over many draws.
TEST(MakePartitionTest, HasTheMomentsOfFlowersPartitioners) {
  const auto golden = nlohmann::json::parse(std::ifstream(RN_TEST_DATA_DIR "/federated/partitions.json"));
  ASSERT_GE(golden.at("cases").size(), 8U);
  for (const auto& example : golden.at("cases")) {
    auto options = options_of(example.at("partition"), example.at("clients"), example.value("alpha", 0.5));
    options.min_samples = example.value("min_samples", std::int64_t{1});
    options.self_balancing = example.value("self_balancing", false);
    options.client_samples = example.value("client_samples", std::int64_t{0});
    options.labels_per_client = example.value("labels_per_client", std::int64_t{2});
    options.shards_per_client = example.value("shards_per_client", std::int64_t{2});
    const auto labels = mixed_labels(10, example.at("per_class"));
    const int draws = example.at("draws");
    std::map<std::string, double> sums;
    for (int draw = 0; draw < draws; ++draw) {
      const auto partition = make_partition(options, {labels, 10}, static_cast<std::uint64_t>(draw));
      const auto counts = class_counts(partition, {labels, 10});
      double squares = 0, sizes = 0, largest_share = 0;
      std::int64_t smallest = INT64_MAX, held = 0;
      for (std::int64_t client = 0; client < options.clients; ++client) {
        const auto size = static_cast<double>(partition.size(client));
        const auto* row = counts.data() + client * 10;
        sizes += size * size;
        smallest = std::min(smallest, partition.size(client));
        largest_share += static_cast<double>(*std::max_element(row, row + 10)) / size;
        held += std::count_if(row, row + 10, [](std::int64_t count) { return count > 0; });
        for (int k = 0; k < 10; ++k) squares += static_cast<double>(row[k]) * static_cast<double>(row[k]);
      }
      const auto clients = static_cast<double>(options.clients);
      sums["count_square"] += squares / (10 * clients);
      sums["size_square"] += sizes / clients;
      sums["smallest"] += static_cast<double>(smallest);
      sums["largest_share"] += largest_share / clients;
      sums["classes_held"] += static_cast<double>(held) / clients;
    }
    for (const auto& [name, moment] : example.at("moments").items()) {
      const double mean = moment.at("mean"), error = moment.at("standard_error");
      // Two means of as many draws: five standard errors of their difference, plus a floor for moments that
      // do not vary.
      EXPECT_NEAR(sums.at(name) / draws, mean, 5 * std::sqrt(2.0) * error + 1e-3 * mean)
          << name << " of " << example.dump().substr(0, 160);
    }
  }
}

TEST(MakePartitionTest, ClassesOfAClientAreAsManyAsAskedFor) {
  const auto labels = mixed_labels(10, 100);
  for (std::int64_t k = 1; k <= 10; ++k) {
    auto options = options_of("labels", 25);
    options.labels_per_client = k;
    const auto counts = class_counts(make_partition(options, {labels, 10}, 9), {labels, 10});
    for (std::size_t client = 0; client < 25; ++client) {
      const auto row = counts.begin() + static_cast<std::ptrdiff_t>(client) * 10;
      EXPECT_EQ(std::count_if(row, row + 10, [](auto count) { return count > 0; }), k) << "client " << client;
      EXPECT_GT(row[static_cast<std::ptrdiff_t>(client % 10)], 0) << "the first class goes round";
    }
  }
}

TEST(MakePartitionTest, ClassesWithoutHoldersAreLeftOut) {
  const auto labels = mixed_labels(10, 100);
  auto options = options_of("labels", 3);
  options.labels_per_client = 1;
  EXPECT_EQ(make_partition(options, {labels, 10}, 1).total(), 300);
}

TEST(MakePartitionTest, ShardsGiveAClientFewClassesInEqualSizes) {
  const auto labels = mixed_labels(10, 600);
  const auto partition = make_partition(options_of("shards", 100), {labels, 10}, 4);
  const auto counts = class_counts(partition, {labels, 10});
  for (std::size_t client = 0; client < 100; ++client) {
    EXPECT_EQ(partition.size(static_cast<std::int64_t>(client)), 60);
    const auto row = counts.begin() + static_cast<std::ptrdiff_t>(client) * 10;
    EXPECT_LE(std::count_if(row, row + 10, [](auto count) { return count > 0; }), 2);
  }
}

TEST(MakePartitionTest, EveryClientHasItsMinimum) {
  const auto labels = mixed_labels(10, 500);
  for (const std::string kind : {"dirichlet_class", "quantity"}) {
    auto options = options_of(kind, 10, 0.5);
    options.min_samples = 60;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const auto partition = make_partition(options, {labels, 10}, seed);
      for (std::int64_t client = 0; client < 10; ++client) EXPECT_GE(partition.size(client), 60) << kind;
    }
  }
}

TEST(MakePartitionTest, RefusesWhatTheDataCannotGive) {
  const auto labels = mixed_labels(10, 20);
  const LabelView data = {labels, 10};
  const auto expect = [&](const FederatedOptions& options, const std::string& words) {
    const auto said = refusal(options, data);
    EXPECT_NE(said.find(words), std::string::npos) << said;
  };
  expect(options_of("iid", 201), "needs 201 images (one per client");
  expect(options_of("quantity", 0), "federated.clients: 0 is not above zero");
  expect(options_of("quantity", 5, 0.0), "federated.alpha: 0 is not above zero");
  expect(options_of("quantity", 5, NAN), "is not above zero");
  expect(options_of("clusters", 5), "unknown: clusters");
  expect(options_of("file", 5), "needs the path");
  expect(options_of("shards", 101), "needs 202 images (one per shard)");
  expect(options_of("dirichlet_class", 100, 0.01), "never at least 1 images each");
  auto sizes = options_of("dirichlet_client", 2);
  sizes.client_samples = 201;
  expect(sizes, "federated.client_samples of one client");
  auto classes = options_of("labels", 5);
  classes.labels_per_client = 11;
  expect(classes, "not between 1 and the 10 classes");
  classes.labels_per_client = 1;
  classes.clients = 201;
  expect(classes, "without images");
}

}  // namespace
}  // namespace rn::federated
