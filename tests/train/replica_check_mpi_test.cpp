// The replica check over real ranks: one flipped bit anywhere in the state of any rank is found and named.
#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "dist/agreement.h"
#include "sample_state.h"
#include "support/faulty_communicator.h"
#include "train/replica_check.h"
#include "train_mpi_testing.h"

namespace rn::train {
namespace {

using testing::communicator;
using testing::SampleState;

struct Place {
  std::string name;  // as the check names it
  std::span<std::byte> bytes;
};

std::span<std::byte> bytes_of_view(const torch::Tensor& view) {
  return {static_cast<std::byte*>(view.data_ptr()), view.nbytes()};
}

// One place in every storage, tensor and value that the replicas must hold alike.
std::vector<Place> places(SampleState& sample) {
  auto& params = sample.params;
  auto& state = sample.state;
  const auto parameter = [&](const torch::Tensor& storage, const char* name) {
    return bytes_of_view(params.view(storage, params.layout().entry(name)));
  };
  const auto statistic = [&](const torch::Tensor& values, const std::string& name) {
    for (const auto& entry : params.statistic_entries()) {
      if (entry.name == name) return bytes_of_view(values.narrow(0, entry.offset, entry.numel));
    }
    throw InternalError("no statistic " + name);
  };
  const auto value = [](auto& number) { return bytes_of(std::span(&number, 1)); };
  return {
      {"model/conv1.weight", parameter(params.weights, "conv1.weight")},
      {"model/layer3.0.downsample.0.weight", parameter(params.weights, "layer3.0.downsample.0.weight")},
      {"model/bn1.running_mean", statistic(params.statistics, "bn1.running_mean")},
      {"optimizer/momentum.fc.bias", parameter(sample.optimizer.momentum, "fc.bias")},
      {"optimizer/loss_scale", bytes_of_view(sample.scaler.scale)},
      {"optimizer/loss_scale_growth", bytes_of_view(sample.scaler.growth_tracker)},
      {"ema/layer1.0.conv1.weight", parameter(state.ema->weights, "layer1.0.conv1.weight")},
      {"ema/layer4.1.bn2.running_var", statistic(state.ema->statistics, "layer4.1.bn2.running_var")},
      {"ema.updates", value(state.ema->updates)},
      {"swa/fc.weight", parameter(state.swa->weights, "fc.weight")},
      {"swa/bn1.running_var", statistic(state.swa->statistics, "bn1.running_var")},
      {"swa.snapshots", value(state.swa->snapshots)},
      {"step", value(state.progress.step)},
      {"epoch_loss_sum", value(state.progress.epoch_loss_sum)},
      {"best_metric", value(state.progress.best_metric)},
      {"skipped_steps", value(state.progress.skipped_steps)},
  };
}

void flip(std::span<std::byte> bytes, std::uint64_t bit) {
  bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ReplicaCheckMpiTest, EqualReplicasPassWithOneGatherAndTheirClocksMayDiffer) {
  SampleState sample(1);
  sample.state.progress.seconds += communicator().rank();
  sample.state.progress.epoch_seconds += communicator().rank();
  test::FaultyCommunicator recording(communicator());
  EXPECT_FALSE(find_replica_difference(sample.state, recording).has_value());
  if (communicator().world_size() == 1) {
    EXPECT_TRUE(recording.calls.empty());
    return;
  }
  ASSERT_EQ(recording.calls.size(), 1U);
  EXPECT_EQ(recording.calls.front().kind, "all_gather");
}

TEST(ReplicaCheckMpiTest, OneFlippedBitOfAnyTensorOnAnyRankIsNamed) {
  constexpr std::uint64_t kSeed = 5;
  SCOPED_TRACE(cat("seed ", kSeed));
  const int ranks = communicator().world_size();
  CounterRandom random(kSeed, Purpose::kSynthetic, 0, 0);  // the same draws on every rank
  SampleState sample(1);
  for (const Place& place : places(sample)) {
    for (int culprit = 0; culprit < ranks; ++culprit) {
      const std::uint64_t bit = random.below(static_cast<std::uint32_t>(8 * place.bytes.size()));
      const bool mine = culprit == communicator().rank();
      if (mine) flip(place.bytes, bit);
      const auto difference = find_replica_difference(sample.state, communicator());
      if (mine) flip(place.bytes, bit);

      SCOPED_TRACE(cat(place.name, ", bit ", bit, ", rank ", culprit));
      EXPECT_EQ(difference.has_value(), ranks > 1);
      if (!difference) continue;
      EXPECT_EQ(difference->name, place.name);
      EXPECT_TRUE(contains(difference->message, cat(place.name, " "))) << difference->message;
      EXPECT_TRUE(contains(difference->message, "; 1 of ")) << difference->message;
      if (ranks == 2) {
        EXPECT_TRUE(difference->ranks.empty());
        EXPECT_TRUE(contains(difference->message, "rank 0 against rank 1")) << difference->message;
      } else {
        EXPECT_EQ(difference->ranks, std::vector{static_cast<std::size_t>(culprit)});
        EXPECT_TRUE(contains(difference->message, cat("of rank ", culprit, " differs")))
            << difference->message;
      }
    }
  }
  EXPECT_FALSE(find_replica_difference(sample.state, communicator()).has_value()) << "all is as it was";
}

TEST(ReplicaCheckMpiTest, TheFirstInTheOrderOfTheModelIsNamedAndAllAreCounted) {
  if (communicator().world_size() < 2) return;
  SampleState sample(1);
  if (communicator().rank() == 1) {
    for (const Place& place : places(sample)) {
      if (place.name != "step") flip(place.bytes, 3);
    }
  }
  const auto count = places(sample).size() - 1;
  const auto difference = find_replica_difference(sample.state, communicator());
  EXPECT_TRUE(difference.has_value());
  if (!difference) return;
  EXPECT_EQ(difference->name, "model/conv1.weight");
  EXPECT_TRUE(contains(difference->message, cat("; ", count, " of "))) << difference->message;
}

TEST(ReplicaCheckMpiTest, WithoutAMajorityAllSidesAreNamed) {
  const int ranks = communicator().world_size(), rank = communicator().rank();
  if (ranks < 3) return;
  SampleState sample(1);
  // At four ranks two against two, at three each alone.
  const int side = ranks == 4 ? rank / 2 : rank;
  sample.state.progress.skipped_steps += side;
  const auto difference = find_replica_difference(sample.state, communicator());
  EXPECT_TRUE(difference.has_value());
  if (!difference) return;
  EXPECT_EQ(difference->name, "skipped_steps");
  EXPECT_TRUE(difference->ranks.empty());
  const std::string sides =
      ranks == 4 ? "ranks 0-1 against ranks 2-3" : "rank 0 against rank 1 against rank 2";
  EXPECT_TRUE(contains(difference->message, sides)) << difference->message;
}

TEST(ReplicaCheckMpiTest, AMajorityNamesTheOtherRanksThoughRank0IsAmongThem) {
  const int ranks = communicator().world_size(), rank = communicator().rank();
  if (ranks < 3) return;
  SampleState sample(1);
  if (rank == 0) sample.state.progress.best_step += 1;
  const auto difference = find_replica_difference(sample.state, communicator());
  EXPECT_TRUE(difference.has_value());
  if (!difference) return;
  EXPECT_EQ(difference->ranks, std::vector<std::size_t>{0});
  EXPECT_TRUE(contains(difference->message,
                       cat("best_step of rank 0 differs from that of the other ", ranks - 1, " ranks")))
      << difference->message;
}

}  // namespace
}  // namespace rn::train
