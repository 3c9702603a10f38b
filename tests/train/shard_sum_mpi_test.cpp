// One tree whatever the rank count: run at 1 to 4 ranks, of which 1, 2 and 4 divide the shards.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/error.h"
#include "train/shard_sum.h"
#include "train_mpi_testing.h"

namespace rn::train {
namespace {

constexpr int kShards = 8;

// Values of very different size: another order of additions gives other bits.
torch::Tensor shard_values(int shard, std::int64_t n) {
  std::mt19937 generator(static_cast<unsigned>(shard + 1));  // its own bits are the standard's
  auto values = torch::empty({n});
  float* out = values.data_ptr<float>();
  for (std::int64_t i = 0; i < n; ++i) {
    const double unit = static_cast<double>(generator()) / 4294967296.0 - 0.5;
    out[i] = static_cast<float>(std::ldexp(unit, static_cast<int>(generator() % 40)));
  }
  return values;
}

torch::Tensor tree(int begin, int end, std::int64_t n) {
  if (end - begin == 1) return shard_values(begin, n);
  const int middle = (begin + end) / 2;
  return tree(begin, middle, n) + tree(middle, end, n);
}

TEST(ShardSumTest, GivesTheTreesBitsAtAnyRankCountThatDividesTheShards) {
  auto& world = testing::communicator();
  if (kShards % world.world_size() != 0) {
    EXPECT_THROW(ShardSum(world, 4, torch::zeros({8})), InternalError);
    return;
  }
  const int own = kShards / world.world_size();
  for (const std::int64_t n : {std::int64_t{1}, std::int64_t{1000}, std::int64_t{(2 << 20) + 3}}) {
    auto values = torch::empty({n});
    ShardSum sum(world, own, values);
    const auto expected = tree(0, kShards, n);
    for (int step = 0; step < 2; ++step) {  // nothing is left over from a step
      for (int i = 0; i < own; ++i) {
        values.copy_(shard_values(world.rank() * own + i, n));
        sum.add();
      }
      sum.finish();
      EXPECT_TRUE(values.equal(expected)) << n << " values, step " << step;
    }
  }
}

TEST(ShardSumTest, AnotherOrderWouldGiveOtherBits) {
  auto in_turn = shard_values(0, 1000);
  for (int shard = 1; shard < kShards; ++shard) in_turn += shard_values(shard, 1000);
  EXPECT_FALSE(in_turn.equal(tree(0, kShards, 1000)));
}

}  // namespace
}  // namespace rn::train
