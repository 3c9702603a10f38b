// FedBuff as a whole; its schedule is tested in async_timeline_test.cpp, its numbers in referee_test.cpp.
#include "core/error.h"
#include "federation_rig.h"
#include "io/checkpoint_folder.h"
#include "support/memory_file_system.h"
#include "train/checkpoint.h"

namespace rn::federated::testing {
namespace {

RigOptions fedbuff_options(std::vector<std::int64_t> sizes, double in_flight, std::int64_t buffer) {
  RigOptions options;
  options.dtype = torch::kFloat32;
  options.federated.algorithm = "fedbuff";
  options.federated.clients = static_cast<std::int64_t>(sizes.size());
  options.federated.cohort = in_flight;
  options.federated.buffer_size = buffer;
  options.sizes = std::move(sizes);
  return options;
}

TEST(FedBuffTest, EqualClientsAndABufferOfAllInFlightAreFedAvgBitForBit) {
  for (const std::string weighting : {"samples", "uniform"}) {
    for (const int in_flight : {2, 4}) {
      auto options = fedbuff_options({10, 10, 10, 10}, in_flight, in_flight);
      options.federated.weighting = weighting;
      options.federated.server_lr = 0.9;
      Rig buffered(options);
      options.federated.algorithm = "fedavg";
      Rig synchronous(options);
      for (int round = 0; round < 3; ++round) {
        const auto ours = buffered.round(), theirs = synchronous.round();
        EXPECT_TRUE(torch::equal(buffered.state.weights, synchronous.state.weights))
            << weighting << ", " << in_flight << " in flight, round " << round;
        EXPECT_EQ(ours.train_loss, theirs.train_loss);
        EXPECT_EQ(ours.staleness, 0);
        EXPECT_EQ(ours.received, theirs.received);
        EXPECT_EQ(buffered.state.async->versions(), 0u);
      }
      EXPECT_NEAR(buffered.state.progress.simulated_seconds, synchronous.state.progress.simulated_seconds,
                  1e-12);
    }
  }
}

// The clients in flight at the cut started from weights that the server no longer has.
TEST(FedBuffTest, ACutAmidClientsInFlightChangesNoBit) {
  auto options = fedbuff_options({5, 8, 12, 15, 9, 30}, 5, 2);
  options.model = "resnet9";  // with running statistics
  options.dtype = torch::kFloat64;
  options.federated.speed_sigma = 1;
  Rig whole(options);
  for (int step = 0; step < 4; ++step) whole.round();
  ASSERT_GT(whole.state.async->versions(), 1u);

  testing_support::MemoryFileSystem memory;
  io::CheckpointFolder folder(memory, "/run/checkpoints");
  const auto snapshot = train::take_snapshot(whole.state);
  folder.save(4, snapshot.files, snapshot.values);
  Rig resumed(options);
  train::restore(resumed.state, folder.load(4));
  EXPECT_EQ(resumed.state.async->timeline.state(), whole.state.async->timeline.state());
  EXPECT_EQ(resumed.state.async->versions(), whole.state.async->versions());

  double staleness = 0;
  for (int step = 0; step < 6; ++step) {
    const auto ours = resumed.round(), theirs = whole.round();
    EXPECT_EQ(ours.train_loss, theirs.train_loss) << step;
    staleness += ours.staleness;
  }
  EXPECT_GT(staleness, 0);
  EXPECT_TRUE(torch::equal(resumed.state.weights, whole.state.weights));
  EXPECT_TRUE(torch::equal(resumed.state.statistics, whole.state.statistics));
  EXPECT_EQ(resumed.state.progress.simulated_seconds, whole.state.progress.simulated_seconds);
}

TEST(FedBuffTest, KeepsNoMoreVersionsThanAreInFlight) {
  for (const std::int64_t bound : {0, 2}) {
    auto options = fedbuff_options({5, 5, 5, 5, 5, 5, 60, 60}, 6, 1);
    options.federated.max_staleness = bound;
    options.federated.speed_sigma = 1.5;
    Rig rig(options);
    std::size_t most = 0;
    std::int64_t late = 0;
    for (int step = 0; step < 25; ++step) {
      late += rig.round().late;
      most = std::max(most, rig.state.async->versions());
    }
    EXPECT_LE(most, bound == 0 ? 6u : 2u);
    EXPECT_GT(most, 1u);
    EXPECT_EQ(late > 0, bound > 0);
  }
}

// Fresh updates do not look at the decay, which is in the rate that a step is given.
TEST(FedBuffTest, AStaleClientTrainsAtTheRateOfItsStart) {
  auto options = fedbuff_options({5, 10}, 2, 1);
  options.federated.staleness_weight = "none";
  Rig constant(options);
  options.federated.local_lr_decay = 0.5;
  Rig decaying(options);
  const double lr = options.local.optimizer.lr;
  // Client 0 arrives at the instants 1, 2, 3, client 1, asked at 0, at 2: the third update, two steps old.
  for (int step = 0; step < 2; ++step) {
    constant.federation.run_round(lr, 0);
    decaying.federation.run_round(lr, 0);
  }
  EXPECT_EQ(constant.federation.run_round(lr, 0).staleness, 2);
  decaying.federation.run_round(lr * 0.25, 0);  // 0.25 / 0.5^2: the rate at its start
  EXPECT_TRUE(torch::equal(constant.state.weights, decaying.state.weights));
}

TEST(FedBuffTest, AStaleUpdateMovesTheServerByItsDiscount) {
  auto options = fedbuff_options({5, 10}, 2, 1);
  Rig rig(options);
  rig.round();
  rig.round();
  const auto before = rig.state.weights.clone();
  const auto result = rig.round();  // client 1, two steps old
  ASSERT_EQ(result.staleness, 2);
  const auto moved = (rig.state.weights - before).norm().item<double>();
  EXPECT_NEAR(moved, result.update_norm / std::sqrt(3.0), 1e-4 * moved);
}

TEST(FedBuffTest, ACheckpointOfAnotherRunIsRefused) {
  auto options = fedbuff_options({5, 8, 12, 15, 9, 30}, 5, 2);
  Rig rig(options);
  rig.round();
  testing_support::MemoryFileSystem memory;
  io::CheckpointFolder folder(memory, "/run/checkpoints");
  const auto snapshot = train::take_snapshot(rig.state);
  folder.save(1, snapshot.files, snapshot.values);
  options.federated.cohort = 2;
  Rig other(options);
  EXPECT_THROW(train::restore(other.state, folder.load(1)), DataError);
}

}  // namespace
}  // namespace rn::federated::testing
