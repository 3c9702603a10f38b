#include "federated/client_states.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "core/error.h"
#include "dist/single_communicator.h"
#include "support/temporary_directory.h"

namespace rn::federated {
namespace {

constexpr std::int64_t kRow = 100;

torch::Tensor row_of(std::int64_t client) { return torch::full({kRow}, static_cast<float>(client) + 0.5F); }

TEST(ClientStatesTest, RowsBeyondTheLimitLieOnDiskAndComeBack) {
  const testing_support::TemporaryDirectory folder;
  const std::string spill = folder / "rank0";
  {
    ClientStates states(io::posix_file_system(), 50, kRow, torch::kFloat32, /*memory_bytes=*/5 * kRow * 4,
                        spill);
    for (std::int64_t client = 0; client < 50; client += 2) {
      states.put(client, row_of(client));
      states.set_owner(client, 0);
    }
    EXPECT_EQ(states.spilled(), 20);
    EXPECT_FALSE(states.has(3));
    EXPECT_EQ(states.take(3).abs().max().item<float>(), 0);
    for (const std::int64_t client : {0, 48, 10}) {
      EXPECT_TRUE(torch::equal(states.take(client), row_of(client))) << client;
      states.put(client, row_of(client + 1));
      EXPECT_TRUE(torch::equal(states.take(client), row_of(client + 1))) << client;
      states.put(client, row_of(client));
    }
  }
  EXPECT_FALSE(std::filesystem::exists(spill));
}

TEST(ClientStatesTest, ACheckpointsRowsAreThoseThatWerePut) {
  const testing_support::TemporaryDirectory folder;
  dist::SingleCommunicator communicator;
  ClientStates states(io::posix_file_system(), 9, kRow, torch::kFloat32, 2 * kRow * 4, folder / "a");
  for (const std::int64_t client : {1, 4, 5, 8}) {
    states.put(client, row_of(client));
    states.set_owner(client, 0);
  }
  io::SafetensorsFile file;
  const auto rows = states.gather(communicator);
  file.tensors = rows.views;
  ASSERT_EQ(file.tensors.size(), 4u);
  ClientStates others(io::posix_file_system(), 9, kRow, torch::kFloat32, 1 << 20, folder / "b");
  others.restore(&file, communicator);
  for (std::int64_t client = 0; client < 9; ++client) {
    EXPECT_EQ(others.has(client), states.has(client)) << client;
    if (!others.has(client)) continue;
    EXPECT_TRUE(torch::equal(others.take(client), row_of(client))) << client;
  }
  ClientStates smaller(io::posix_file_system(), 9, kRow - 1, torch::kFloat32, 1 << 20, folder / "c");
  EXPECT_THROW(smaller.restore(&file, communicator), DataError);
}

// What a checkpoint's thread reads while the clients train on.
TEST(ClientStatesTest, GatheredRowsStayAsTheyWere) {
  const testing_support::TemporaryDirectory folder;
  dist::SingleCommunicator communicator;
  GatheredRows gathered;
  {
    ClientStates states(io::posix_file_system(), 20, kRow, torch::kFloat32, 6 * kRow * 4, folder / "rank0");
    const auto put_all = [&](float shift) {
      for (std::int64_t client = 0; client < 20; ++client) {
        if (states.has(client)) states.take(client);
        states.put(client, row_of(client) + shift);
        states.set_owner(client, 0);
      }
    };
    put_all(0);
    EXPECT_EQ(states.spilled(), 14);
    gathered = states.gather(communicator);
    put_all(1000);
    put_all(2000);
  }
  ASSERT_EQ(gathered.views.size(), 20u);
  for (std::int64_t client = 0; client < 20; ++client) {
    const auto& view = gathered.views[static_cast<std::size_t>(client)];
    EXPECT_EQ(view.name, cat("client.", client));
    const auto expected = row_of(client);
    EXPECT_EQ(std::memcmp(view.bytes.data(), expected.const_data_ptr(), view.bytes.size()), 0) << client;
  }
}

}  // namespace
}  // namespace rn::federated
