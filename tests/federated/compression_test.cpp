#include "federated/compression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace rn::federated {
namespace {

const std::vector<Slice> kTensors = {{0, 100}, {112, 33}, {160, 7}};
constexpr std::size_t kSize = 176;
constexpr std::int64_t kElements = 140;

std::vector<float> random_update(std::uint64_t seed) {
  CounterRandom random(seed, Purpose::kOrder, 0, 0);
  std::vector<float> update(kSize, 0.0F);
  for (const auto& tensor : kTensors) {
    for (std::int64_t i = 0; i < tensor.size; ++i)
      update[static_cast<std::size_t>(tensor.offset + i)] = static_cast<float>(random.normal());
  }
  return update;
}

std::vector<float> decoded(Compression kind, std::vector<float> update, double top_k = 0.1) {
  UpdateCompressor(kind, kTensors, top_k).compress(update, {});
  return update;
}

TEST(CompressionTest, TopKKeepsTheLargestAsTheyAre) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto update = random_update(seed);
    const auto sent = decoded(Compression::kTopK, update);
    float smallest_kept = INFINITY, largest_lost = 0;
    int kept = 0;
    for (std::size_t i = 0; i < kSize; ++i) {
      if (sent[i] != 0) {
        ++kept;
        EXPECT_EQ(sent[i], update[i]);
        smallest_kept = std::min(smallest_kept, std::abs(sent[i]));
      } else {
        largest_lost = std::max(largest_lost, std::abs(update[i]));
      }
    }
    EXPECT_EQ(kept, 14) << "seed " << seed;
    EXPECT_GE(smallest_kept, largest_lost) << "seed " << seed;
  }
}

TEST(CompressionTest, TopKKeepsTheEarlierOfEquals) {
  std::vector<float> update(kSize, 0.0F);
  for (const auto& tensor : kTensors) {
    for (std::int64_t i = 0; i < tensor.size; ++i)
      update[static_cast<std::size_t>(tensor.offset + i)] = i % 2 == 0 ? 0.5F : -0.5F;
  }
  update[120] = 2;
  const auto sent = decoded(Compression::kTopK, update, 4.0 / kElements);
  EXPECT_EQ(std::count_if(sent.begin(), sent.end(), [](float value) { return value != 0; }), 4);
  EXPECT_EQ(sent[120], 2);
  EXPECT_EQ(sent[0], 0.5F);
  EXPECT_EQ(sent[1], -0.5F);
  EXPECT_EQ(sent[2], 0.5F);
}

TEST(CompressionTest, TopKOfEverythingIsEverything) {
  const auto update = random_update(1);
  EXPECT_EQ(decoded(Compression::kTopK, update, 1.0), update);
}

TEST(CompressionTest, Int8IsWithinHalfAStepOfEveryTensor) {
  const auto update = random_update(2);
  const auto sent = decoded(Compression::kInt8, update);
  for (const auto& tensor : kTensors) {
    const auto begin = update.begin() + tensor.offset;
    float largest = 0;
    std::for_each(begin, begin + tensor.size,
                  [&](float value) { largest = std::max(largest, std::abs(value)); });
    for (auto i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      const auto at = static_cast<std::size_t>(i);
      EXPECT_LE(std::abs(sent[at] - update[at]), largest / 127 / 2 * 1.0001F);
    }
  }
  EXPECT_NE(sent, update);
}

TEST(CompressionTest, Int8SurvivesZeroAndTheSmallest) {
  std::vector<float> update(kSize, 0.0F);
  EXPECT_EQ(decoded(Compression::kInt8, update), update);
  update[3] = 1e-45F;  // the smallest: its scale is no float
  EXPECT_EQ(decoded(Compression::kInt8, update)[3], 0.0F);
  update[3] = 3e38F;
  EXPECT_NEAR(decoded(Compression::kInt8, update)[3] / 3e38F, 1, 1e-6);
}

TEST(CompressionTest, SignKeepsSignsAndTheMeanMagnitudeOfEveryTensor) {
  const auto update = random_update(3);
  const auto sent = decoded(Compression::kSign, update);
  for (const auto& tensor : kTensors) {
    double sum = 0;
    for (auto i = tensor.offset; i < tensor.offset + tensor.size; ++i)
      sum += std::abs(static_cast<double>(update[static_cast<std::size_t>(i)]));
    const auto scale = static_cast<float>(sum / static_cast<double>(tensor.size));
    for (auto i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
      const auto at = static_cast<std::size_t>(i);
      EXPECT_EQ(sent[at], update[at] >= 0 ? scale : -scale);
    }
  }
}

TEST(CompressionTest, PaddingIsNeitherChangedNorCounted) {
  for (const auto kind : {Compression::kTopK, Compression::kInt8, Compression::kSign}) {
    auto update = random_update(4);
    update[105] = 7;  // would be kept by top_k, and turned to a scale by sign
    std::vector<float> residual(kSize, 0.0F);
    UpdateCompressor(kind, kTensors, 0.1).compress(update, residual);
    EXPECT_EQ(update[105], 7);
    EXPECT_EQ(residual[105], 0);
  }
}

TEST(CompressionTest, BytesAreThoseOfTheEncoding) {
  const auto bytes = [](Compression kind) { return UpdateCompressor(kind, kTensors, 0.1).bytes(); };
  EXPECT_EQ(bytes(Compression::kNone), 4 * kElements);
  EXPECT_EQ(bytes(Compression::kTopK), 14 * 8);
  EXPECT_EQ(bytes(Compression::kInt8), kElements + 3 * 4);
  EXPECT_EQ(bytes(Compression::kSign), 13 + 5 + 1 + 3 * 4);
}

TEST(CompressionTest, ErrorFeedbackLosesNothingInTheLongRun) {
  for (const auto kind : {Compression::kTopK, Compression::kInt8, Compression::kSign}) {
    const UpdateCompressor compressor(kind, kTensors, 0.1);
    std::vector<float> residual(kSize, 0.0F);
    std::vector<double> asked(kSize, 0.0), sent(kSize, 0.0);
    for (std::uint64_t round = 0; round < 50; ++round) {
      auto update = random_update(round);
      for (std::size_t i = 0; i < kSize; ++i) asked[i] += static_cast<double>(update[i]);
      compressor.compress(update, residual);
      for (std::size_t i = 0; i < kSize; ++i) sent[i] += static_cast<double>(update[i]);
    }
    // What was asked for is what was sent and what is still owed.
    for (std::size_t i = 0; i < kSize; ++i)
      EXPECT_NEAR(asked[i], sent[i] + static_cast<double>(residual[i]), 1e-3);
  }
}

TEST(CompressionTest, WithoutCompressionNothingChanges) {
  const auto update = random_update(5);
  EXPECT_EQ(decoded(Compression::kNone, update), update);
}

TEST(CompressionTest, NamesAndSharesAreChecked) {
  EXPECT_EQ(compression_named("int8"), Compression::kInt8);
  EXPECT_THROW(compression_named("zip"), ConfigError);
  EXPECT_THROW(UpdateCompressor(Compression::kTopK, kTensors, 0), ConfigError);
  EXPECT_THROW(UpdateCompressor(Compression::kTopK, kTensors, 1.1), ConfigError);
}

TEST(CompressionTest, TheSlicesOfALayoutAreItsEntries) {
  const FlatLayout layout({{"a", {3, 5}, {}, 0}, {"b", {7}, {}, 0}}, 1024);
  const auto slices = tensor_slices(layout);
  ASSERT_EQ(slices.size(), 2U);
  std::int64_t elements = 0;
  for (const auto& slice : slices) elements += slice.size;
  EXPECT_EQ(elements, layout.numel());
  EXPECT_LT(slices[0].offset, slices[1].offset);
}

}  // namespace
}  // namespace rn::federated
