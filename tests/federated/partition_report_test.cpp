#include "federated/partition_report.h"

#include <gtest/gtest.h>

#include "federated/partition_testing.h"

namespace rn::federated {
namespace {

using testing_partitions::mixed_labels;
using testing_partitions::options_of;

const std::vector<std::string> kNames = {"cat", "dog", "automobile"};
const std::vector<std::uint8_t> kLabels = {0, 0, 0, 1, 1, 2};
const Partition kPartition({0, 1, 3, 4, 5}, {0, 2, 5});  // image 2 belongs to nobody

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(PartitionReportTest, TheTableCountsClassesPerClient) {
  EXPECT_EQ(partition_table(kPartition, {kLabels, 3}, kNames),
            "clients   2\n"
            "images    5 of 6\n"
            "sizes     2 to 3, median 3, mean 2.5\n"
            "classes   1 to 2 of 3 a client, mean 1.5; a client's largest class is 83.3 % of its images on "
            "average\n"
            "\n"
            "  client   images     cat     dog  automobile\n"
            "       0        2       2       -           -\n"
            "       1        3       -       2           1\n");
}

TEST(PartitionReportTest, OfManyClientsTheTableShowsTheFirst) {
  const auto labels = mixed_labels(3, 100);
  const auto partition = make_partition(options_of("iid", 100), {labels, 3}, 1);
  const auto table = partition_table(partition, {labels, 3}, kNames);
  EXPECT_NE(table.find("\n      19 "), std::string::npos);
  EXPECT_EQ(table.find("\n      20 "), std::string::npos);
  EXPECT_NE(table.find("... and 80 more\n"), std::string::npos);
}

TEST(PartitionReportTest, SharedImagesAreSaid) {
  const auto labels = mixed_labels(3, 10);
  auto options = options_of("iid", 9);
  options.client_samples = 10;
  const auto partition = make_partition(options, {labels, 3}, 1);
  EXPECT_NE(
      partition_table(partition, {labels, 3}, kNames).find("30 of 30, each held by 3.0 clients on average"),
      std::string::npos);
}

TEST(PartitionReportTest, TheHeatMapHasAColumnPerClientUpToAHundred) {
  const auto labels = mixed_labels(3, 400);
  for (const auto& [clients, columns] : {std::pair{7, 7U}, std::pair{100, 100U}, std::pair{300, 100U}}) {
    const auto partition = make_partition(options_of("iid", clients), {labels, 3}, 1);
    const auto svg = partition_heat_map(partition, {labels, 3}, kNames, "iid");
    EXPECT_EQ(count_of(svg, ", automobile: "), columns) << clients;
  }
  const auto partition = make_partition(options_of("iid", 300), {labels, 3}, 1);
  const auto svg = partition_heat_map(partition, {labels, 3}, kNames, "iid");
  EXPECT_NE(svg.find("iid: 1,200 images, 100 of 300 clients"), std::string::npos);
  EXPECT_NE(svg.find("client 297, cat: "), std::string::npos) << "spread over all";
}

// Client c holds class c mod 3: every third client would tell of one class only.
TEST(PartitionReportTest, TheShownClientsAreNotAllAlike) {
  const auto labels = mixed_labels(3, 400);
  auto options = options_of("labels", 300);
  options.labels_per_client = 1;
  const auto partition = make_partition(options, {labels, 3}, 1);
  const auto svg = partition_heat_map(partition, {labels, 3}, kNames, "labels");
  for (const auto& name : kNames) {
    EXPECT_NEAR(static_cast<double>(count_of(svg, ", " + name + ": 0")), 66, 2) << name;
  }
}

TEST(PartitionReportTest, NamesWhatThePartitionIsDrawnWith) {
  auto options = options_of("dirichlet_class", 5, 0.1);
  EXPECT_EQ(describe_partition(options), "dirichlet_class, alpha 0.1");
  options.self_balancing = true;
  EXPECT_EQ(describe_partition(options), "dirichlet_class, alpha 0.1, self-balancing");
  EXPECT_EQ(describe_partition(options_of("shards", 5)), "shards, 2 a client");
}

}  // namespace
}  // namespace rn::federated
