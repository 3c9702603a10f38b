#include "federated/secure_aggregation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"

namespace rn::federated {
namespace {

constexpr std::size_t kSize = 257;

std::vector<float> random_update(std::int64_t client) {
  CounterRandom random(1, Purpose::kOrder, 0, static_cast<std::uint64_t>(client));
  std::vector<float> update(kSize);
  for (float& value : update) value = static_cast<float>(random.normal());
  return update;
}

std::vector<std::int64_t> every_third(std::int64_t count) {
  std::vector<std::int64_t> clients;
  for (std::int64_t i = 0; i < count; ++i) clients.push_back(5 + 3 * i);
  return clients;
}

std::vector<std::uint32_t> encoded(const FieldCodec& codec, std::int64_t client) {
  std::vector<std::uint32_t> field(kSize);
  codec.encode(random_update(client), 1.0, field);
  return field;
}

TEST(FieldCodecTest, RoundsToTheResolutionAndCutsToTheBound) {
  const FieldCodec codec(4, 100);
  const std::vector<float> values = {0.0F, 1.0F, -1.0F, 3.999F, -4.0F, 5.0F, -1e30F, 1e-9F};
  std::vector<std::uint32_t> field(values.size());
  std::vector<double> decoded(values.size());
  codec.encode(values, 1.0, field);
  codec.decode(field, decoded);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(decoded[i], std::clamp(static_cast<double>(values[i]), -4.0, 4.0), codec.resolution() / 2);
  }
  EXPECT_LT(codec.resolution(), 1e-6);
  codec.encode(values, 0.25, field);
  codec.decode(field, decoded);
  EXPECT_NEAR(decoded[5], 1.25, codec.resolution());
}

TEST(FieldCodecTest, SumsOfAllClientsAtTheBoundDoNotWrap) {
  for (const std::int64_t clients : {1, 2, 50, 1000, 1000000}) {
    for (const double bound : {0.3, 1.0, 7.5}) {
      const FieldCodec codec(bound, clients);
      for (const float value : {100.0F, -100.0F}) {
        std::vector<std::uint32_t> one(1), sum(1, 0);
        codec.encode(std::vector<float>{value}, 1.0, one);
        // clients times the same value, by doubling.
        for (auto left = clients; left > 0; left /= 2) {
          if (left % 2 == 1) add_in_field(sum, one);
          add_in_field(one, std::vector<std::uint32_t>(one));
        }
        std::vector<double> decoded(1);
        codec.decode(sum, decoded);
        EXPECT_NEAR(decoded[0], std::copysign(bound, value) * static_cast<double>(clients),
                    codec.resolution() * static_cast<double>(clients))
            << clients << " clients, bound " << bound;
      }
    }
  }
}

TEST(FieldCodecTest, RefusesMoreClientsThanTheFieldHolds) {
  EXPECT_THROW(FieldCodec(1, 100000000), ConfigError);
}

TEST(SecureRoundTest, TheSumIsExactWhoeverDropsOut) {
  const FieldCodec codec(10, 50);
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const auto clients = every_third(1 + static_cast<std::int64_t>(seed) * 2);
    const SecureRound secure(seed, 4, clients);
    CounterRandom random(seed, Purpose::kOrder, 0, 0);
    std::vector<std::int64_t> answered = clients;
    while (std::ssize(answered) > secure.threshold() && random.below(4) > 0) {
      answered.erase(answered.begin() + random.below(static_cast<std::uint32_t>(answered.size())));
    }
    std::vector<std::uint32_t> masked_sum(kSize, 0), plain_sum(kSize, 0);
    for (const auto client : answered) {
      auto field = encoded(codec, client);
      add_in_field(plain_sum, field);
      secure.mask(client, field);
      add_in_field(masked_sum, field);
    }
    EXPECT_NE(masked_sum, plain_sum) << "seed " << seed;
    secure.unmask(answered, masked_sum);
    EXPECT_EQ(masked_sum, plain_sum) << "seed " << seed << ", " << answered.size() << " of "
                                     << clients.size();
    std::vector<double> decoded(kSize);
    codec.decode(masked_sum, decoded);
    for (std::size_t i = 0; i < kSize; ++i) {
      double sum = 0;
      for (const auto client : answered) sum += static_cast<double>(random_update(client)[i]);
      EXPECT_NEAR(decoded[i], sum, codec.resolution() * static_cast<double>(answered.size()));
    }
  }
}

TEST(SecureRoundTest, WhatAClientSendsLooksUniform) {
  const auto clients = every_third(5);
  const SecureRound secure(3, 0, clients);
  std::vector<std::uint32_t> field(16000, 0);  // an update of zeros
  secure.mask(clients[2], field);
  std::vector<int> counts(16, 0);
  for (const auto value : field) {
    EXPECT_LT(value, kFieldPrime);
    ++counts[value >> 28];
  }
  double chi_squared = 0;
  for (const int count : counts) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 40.0);  // 15 degrees of freedom: above with probability 5e-4
}

TEST(SecureRoundTest, AnySubsetStaysMasked) {
  const auto clients = every_third(6);
  const SecureRound secure(3, 0, clients, 6);
  // Without the last client's masks the others' do not cancel, own masks taken off or not.
  std::vector<std::uint32_t> sum(kSize, 0);
  for (std::size_t i = 0; i < 5; ++i) {
    std::vector<std::uint32_t> field(kSize, 0);
    secure.mask(clients[i], field);
    add_in_field(sum, field);
  }
  EXPECT_GT(std::count_if(sum.begin(), sum.end(), [](std::uint32_t value) { return value != 0; }), 250);
}

TEST(SecureRoundTest, MasksDifferFromRoundToRoundAndClientToClient) {
  const auto clients = every_third(4);
  std::vector<std::vector<std::uint32_t>> all;
  for (const std::int64_t round : {0, 1}) {
    for (const auto client : clients) {
      all.emplace_back(kSize, 0U);
      SecureRound(3, round, clients).mask(client, all.back());
    }
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
}

TEST(SecureRoundTest, BelowTheThresholdTheSumIsLost) {
  const SecureRound secure(3, 0, every_third(10));
  EXPECT_EQ(secure.threshold(), 7);
  EXPECT_TRUE(secure.recoverable(7));
  EXPECT_FALSE(secure.recoverable(6));
  std::vector<std::uint32_t> sum(kSize, 0);
  EXPECT_THROW(secure.unmask(every_third(6), sum), InternalError);
}

TEST(SecureRoundTest, CountsTheBytesOfThePaper) {
  // Bonawitz et al. 2017, section 7: 2 n keys and 5 n - 4 shares a client, and n bits.
  const SecureRound secure(3, 0, every_third(10));
  EXPECT_EQ(secure.overhead_bytes_up() + secure.overhead_bytes_down(), 32 * (2 * 10 + 5 * 10 - 4) + 2);
}

}  // namespace
}  // namespace rn::federated
