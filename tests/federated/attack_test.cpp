#include "federated/attack.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/error.h"

namespace rn::federated {
namespace {

constexpr std::int64_t kSize = 2000;
const std::vector<Slice> kTensors = {{0, 1000}, {1024, 900}};  // padding in between and behind

std::vector<float> update_of_ones() {
  std::vector<float> update(kSize, 0.0F);
  for (const auto& tensor : kTensors) {
    for (std::int64_t i = 0; i < tensor.size; ++i)
      update[static_cast<std::size_t>(tensor.offset + i)] = i % 2 == 0 ? 1.0F : -1.0F;
  }
  return update;
}

std::vector<float> attacked(Attack attack, std::int64_t round = 0, std::int64_t client = 3) {
  auto update = update_of_ones();
  Attackers(attack, 10, 10, 3.0, 7).apply(update, kTensors, round, client);
  return update;
}

TEST(AttackTest, TheAttackersAreDrawnByTheSeed) {
  std::set<std::vector<std::int64_t>> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Attackers attackers(Attack::kScale, 5, 50, 1.0, seed);
    EXPECT_EQ(attackers.clients().size(), 5U);
    for (const auto client : attackers.clients()) EXPECT_TRUE(attackers.includes(client));
    EXPECT_EQ(attackers.clients(), Attackers(Attack::kScale, 5, 50, 1.0, seed).clients());
    seen.insert(attackers.clients());
  }
  EXPECT_GT(seen.size(), 18U);
}

TEST(AttackTest, HonestClientsSendWhatTheyHave) {
  const Attackers attackers(Attack::kScale, 5, 50, 3.0, 1);
  for (std::int64_t client = 0; client < 50; ++client) {
    auto update = update_of_ones();
    attackers.apply(update, kTensors, 0, client);
    EXPECT_EQ(update == update_of_ones(), !attackers.includes(client));
  }
  EXPECT_TRUE(Attackers(Attack::kNone, 5, 50, 3.0, 1).clients().empty());
}

TEST(AttackTest, ScalesAndTurnsOver) {
  const auto honest = update_of_ones();
  const auto scaled = attacked(Attack::kScale);
  const auto turned = attacked(Attack::kSignFlip);
  for (std::size_t i = 0; i < honest.size(); ++i) {
    EXPECT_EQ(scaled[i], 3 * honest[i]);
    EXPECT_EQ(turned[i], -3 * honest[i]);
  }
}

TEST(AttackTest, GaussianNoiseHasTheScaleOfTheUpdateAndItsOwnDrawsPerRoundAndClient) {
  const auto noise = attacked(Attack::kGaussian);
  double sum = 0, squares = 0;
  for (const auto& tensor : kTensors) {
    for (std::int64_t i = 0; i < tensor.size; ++i) {
      const auto value = static_cast<double>(noise[static_cast<std::size_t>(tensor.offset + i)]);
      sum += value;
      squares += value * value;
    }
  }
  EXPECT_NEAR(sum / 1900, 0, 5 * 3 / std::sqrt(1900.0));
  EXPECT_NEAR(std::sqrt(squares / 1900), 3, 0.25);  // the update's root mean square is 1
  EXPECT_EQ(noise, attacked(Attack::kGaussian));
  EXPECT_NE(noise, attacked(Attack::kGaussian, 1));
  EXPECT_NE(noise, attacked(Attack::kGaussian, 0, 4));
}

TEST(AttackTest, PaddingStaysZero) {
  for (const auto attack : {Attack::kScale, Attack::kSignFlip, Attack::kGaussian}) {
    const auto update = attacked(attack);
    for (std::size_t i = 1000; i < 1024; ++i) EXPECT_EQ(update[i], 0.0F);
    for (std::size_t i = 1924; i < kSize; ++i) EXPECT_EQ(update[i], 0.0F);
  }
}

TEST(AttackTest, LabelsAreTurnedOver) {
  EXPECT_EQ(flipped_label(0, 10), 9);
  EXPECT_EQ(flipped_label(9, 10), 0);
  const Attackers attackers(Attack::kLabelFlip, 2, 4, 1.0, 1);
  EXPECT_TRUE(attackers.flips_labels(attackers.clients()[0]));
  auto update = update_of_ones();
  attackers.apply(update, kTensors, 0, attackers.clients()[0]);
  EXPECT_EQ(update, update_of_ones()) << "the update of its training is sent as it is";
}

TEST(AttackTest, NamesAreThoseOfTheConfiguration) {
  EXPECT_EQ(attack_named("gaussian"), Attack::kGaussian);
  EXPECT_THROW(attack_named("noise"), ConfigError);
  EXPECT_THROW(Attackers(Attack::kScale, 11, 10, 1.0, 1), ConfigError);
}

}  // namespace
}  // namespace rn::federated
