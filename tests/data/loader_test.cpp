#include "data/loader.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "core/random.h"
#include "data/data_fixtures.h"

namespace rn::data {
namespace {

using namespace testing;

constexpr int kImages = 40;

// A run of requests of varying size, some padded, some without draws, one empty.
std::vector<ShardRequest> random_requests(std::uint64_t seed, const AugmentOptions& options, int count) {
  CounterRandom random(seed, Purpose::kSynthetic, 5, 5);
  std::vector<ShardRequest> requests;
  for (int i = 0; i < count; ++i) {
    ShardRequest request;
    const auto size = i == 1 ? 0 : random.below(9);
    const bool augmented = random.below(3) != 0;
    for (std::uint32_t k = 0; k < size; ++k) {
      request.indices.push_back(random.below(kImages));
      if (augmented) request.draws.push_back(draw_augment(options, 32, 32, seed, i, k));
    }
    if (random.below(2) != 0) request.padded_to = 9;
    requests.push_back(std::move(request));
  }
  return requests;
}

PrefetchLoader::Plan plan_of(const std::vector<ShardRequest>& requests) {
  return [&requests, next = std::size_t{0}]() mutable -> std::optional<ShardRequest> {
    if (next == requests.size()) return std::nullopt;
    return requests[next++];
  };
}

void expect_same_batch(const HostBatch& actual, const HostBatch& expected) {
  EXPECT_EQ(actual.size, expected.size);
  EXPECT_EQ(actual.count, expected.count);
  EXPECT_EQ(actual.labels, expected.labels);
  EXPECT_TRUE(actual.images == expected.images);
}

class LoaderTest : public ::testing::Test {
 protected:
  const ImageSet images_ = random_images(kImages, 1);
  const AugmentOptions options_{.cutout = 6};
};

TEST_F(LoaderTest, MakeBatchFillsRowsAndPadsTheRest) {
  const ShardRequest request{.indices = {7, 7, 3}, .draws = {}, .padded_to = 5};
  const HostBatch batch = make_batch(images_, options_, request);
  EXPECT_EQ(batch.size, 5);
  EXPECT_EQ(batch.count, 3);
  EXPECT_EQ(batch.labels,
            (std::vector<std::int64_t>{images_.labels[7], images_.labels[7], images_.labels[3], -1, -1}));
  std::vector<float> image(3072);
  Augmenter(options_, 3, 32, 32).apply(images_.image(3), nullptr, image);
  EXPECT_TRUE(std::equal(image.begin(), image.end(), batch.images.begin() + 2 * 3072));
  EXPECT_TRUE(
      std::all_of(batch.images.begin() + 3 * 3072, batch.images.end(), [](float v) { return v == 0.0f; }));
  EXPECT_EQ(batch.images.size(), 5u * 3072);
}

TEST_F(LoaderTest, MakeBatchRefusesWrongRequests) {
  EXPECT_THROW(make_batch(images_, options_, {.indices = {kImages}, .draws = {}}), InternalError);
  EXPECT_THROW(make_batch(images_, options_, {.indices = {-1}, .draws = {}}), InternalError);
  EXPECT_THROW(make_batch(images_, options_, {.indices = {1, 2}, .draws = {AugmentDraw()}}), InternalError);
  EXPECT_THROW(make_batch(images_, options_, {.indices = {1, 2}, .draws = {}, .padded_to = 1}),
               InternalError);
}

TEST_F(LoaderTest, DeliversThePlanInOrderForAnyNumberOfWorkers) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const auto requests = random_requests(seed, options_, 25);
    for (const int workers : {1, 2, 3, 5}) {
      for (const int prefetch : {1, 2, 7}) {
        SCOPED_TRACE(cat("seed ", seed, ", workers ", workers, ", prefetch ", prefetch));
        PrefetchLoader loader(images_, options_, workers, prefetch, plan_of(requests));
        for (const auto& request : requests) {
          const HostBatch* batch = loader.next();
          ASSERT_NE(batch, nullptr);
          expect_same_batch(*batch, make_batch(images_, options_, request));
        }
        EXPECT_EQ(loader.next(), nullptr);
        EXPECT_EQ(loader.next(), nullptr);
      }
    }
  }
}

TEST_F(LoaderTest, ABatchStaysValidUntilTheNextCall) {
  const auto requests = random_requests(3, options_, 12);
  PrefetchLoader loader(images_, options_, 3, 2, plan_of(requests));
  for (const auto& request : requests) {
    const HostBatch* batch = loader.next();
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // the workers fill every slot they may
    expect_same_batch(*batch, make_batch(images_, options_, request));
  }
}

TEST_F(LoaderTest, CallsThePlanOneAtATimeAndNotFarAhead) {
  std::atomic<int> inside = 0, calls = 0;
  std::atomic<bool> overlapped = false;
  constexpr int kPrefetch = 3, kBatches = 30;
  PrefetchLoader loader(images_, options_, 4, kPrefetch, [&]() -> std::optional<ShardRequest> {
    if (++inside != 1) overlapped = true;
    std::this_thread::yield();
    const int call = ++calls;
    --inside;
    if (call > kBatches) return std::nullopt;
    return ShardRequest{.indices = {call % kImages}, .draws = {}};
  });
  for (int i = 1; i <= kBatches; ++i) {
    ASSERT_NE(loader.next(), nullptr);
    EXPECT_LE(calls, i + kPrefetch);
  }
  EXPECT_EQ(loader.next(), nullptr);
  EXPECT_EQ(calls, kBatches + 1);
  EXPECT_FALSE(overlapped);
}

TEST_F(LoaderTest, RethrowsThePlansErrorAfterTheBatchesBeforeIt) {
  for (const int workers : {1, 4}) {
    int calls = 0;
    PrefetchLoader loader(images_, options_, workers, 2, [&]() -> std::optional<ShardRequest> {
      if (calls++ == 5) throw DataError("the plan is broken");
      return ShardRequest{.indices = {1}, .draws = {}};
    });
    for (int i = 0; i < 5; ++i) ASSERT_NE(loader.next(), nullptr);
    for (int i = 0; i < 3; ++i) expect_error<DataError>([&] { loader.next(); }, {"the plan is broken"});
    EXPECT_EQ(calls, 6);
  }
}

TEST_F(LoaderTest, RethrowsABatchsErrorInItsTurn) {
  auto requests = random_requests(8, options_, 20);
  requests[11] = {.indices = {kImages + 5}, .draws = {}};
  PrefetchLoader loader(images_, options_, 3, 4, plan_of(requests));
  for (int i = 0; i < 11; ++i) ASSERT_NE(loader.next(), nullptr);
  for (int i = 0; i < 2; ++i) expect_error<InternalError>([&] { loader.next(); }, {"image 45 of 40"});
}

TEST_F(LoaderTest, StopsCleanlyAtAnyTime) {
  for (int taken = 0; taken < 60; ++taken) {
    const auto requests = random_requests(static_cast<std::uint64_t>(taken), options_, 10);
    PrefetchLoader loader(images_, options_, 1 + taken % 4, 1 + taken % 3, plan_of(requests));
    for (int i = 0; i < taken % 12; ++i) loader.next();
  }
}

TEST_F(LoaderTest, MeasuresTheWaitOnce) {
  PrefetchLoader loader(images_, options_, 1, 1, [&]() -> std::optional<ShardRequest> {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    return ShardRequest{.indices = {1}, .draws = {}};
  });
  loader.next();
  EXPECT_GE(loader.take_wait_seconds(), 0.015);
  EXPECT_EQ(loader.take_wait_seconds(), 0.0);
}

TEST_F(LoaderTest, RefusesOptionsBeforeItStarts) {
  const auto none = []() -> std::optional<ShardRequest> { return std::nullopt; };
  EXPECT_THROW(PrefetchLoader(images_, {.normalize = "?"}, 1, 1, none), ConfigError);
  EXPECT_THROW(PrefetchLoader(images_, options_, 0, 1, none), InternalError);
  EXPECT_THROW(PrefetchLoader(images_, options_, 1, 0, none), InternalError);
}

}  // namespace
}  // namespace rn::data
