// Registered clients cost their index lists and little else, so the memory of a run is flat in their number.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <vector>

#include "federated/async_timeline.h"
#include "federated/cohort.h"
#include "federated/make_partition.h"

namespace rn::federated {
namespace {

constexpr std::int64_t kImages = 50000;
constexpr int kClasses = 10;

std::int64_t heap_bytes() {
  const auto info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

std::vector<std::uint8_t> equal_classes() {
  std::vector<std::uint8_t> labels(kImages);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::uint8_t>(i % kClasses);
  return labels;
}

// What a run keeps per registered client: its images, its place in the partition, its size in the sampler.
class PlanMemoryTest : public ::testing::TestWithParam<const char*> {
 protected:
  static std::int64_t bytes_for(const FederatedOptions& options, const std::vector<std::uint8_t>& labels) {
    const std::int64_t before = heap_bytes();
    const Partition partition = make_partition(options, {labels, kClasses}, /*seed=*/1);
    CohortShape shape;
    shape.batch = 10;
    for (std::int64_t client = 0; client < partition.clients(); ++client) {
      shape.client_images.push_back(partition.size(client));
    }
    shape.client_images.shrink_to_fit();
    const CohortSampler cohorts(options, std::move(shape), /*seed=*/1);
    AsyncTimeline timeline(options, cohorts);
    std::int64_t images = 0;
    for (std::int64_t round = 0; round < 5; ++round) {
      for (const auto& part : cohorts.draw(round).participants) images += part.images;
      for (const auto& part : timeline.next_step(round).participants) images += part.images;
    }
    EXPECT_GT(images, 0);
    return heap_bytes() - before - 4 * partition.total();
  }
};

TEST_P(PlanMemoryTest, AClientCostsItsImagesAndAFewNumbers) {
  const auto labels = equal_classes();
  {
    const std::int64_t before = heap_bytes();
    const std::vector<std::byte> seen(1 << 20);
    if (heap_bytes() - before < (1 << 20))
      GTEST_SKIP() << "this build's allocator does not say what it holds";
  }
  FederatedOptions options;
  options.partition = GetParam();
  options.cohort = 50;
  options.alpha = 5;
  if (options.partition == "iid" || options.partition == "dirichlet_client") options.client_samples = 20;
  options.clients = 1000;
  const std::int64_t few = bytes_for(options, labels);
  options.clients = options.client_samples > 0 ? 100000 : 10000;
  const std::int64_t many = bytes_for(options, labels);
  // 8 bytes for where its images begin, 8 for their number; half as much again for room to grow.
  EXPECT_LT(many - few, 24 * options.clients) << options.partition;
}

INSTANTIATE_TEST_SUITE_P(, PlanMemoryTest, ::testing::Values("iid", "dirichlet_client", "shards", "labels"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace rn::federated
