// Several nodes on one machine: their ranks see on the board what those of the others do.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "core/error.h"
#include "core/host_name.h"
#include "dist/mpi_communicator.h"
#include "dist/row_exchange.h"

namespace rn::dist {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

template <typename Condition>
bool eventually(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < limit) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return condition();
}

// The parameter: ranks per node.
class RowExchangeMpiTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (topology_.node_count() == 1) GTEST_SKIP() << "needs more ranks than " << GetParam();
    LaunchEnv env;
    env.launched = true;
    env.rank = topology_.rank;
    env.world_size = topology_.world_size;
    env.local_rank = topology_.local_rank;
    env.local_size = topology_.local_size;
    static int boards = 0;  // all ranks count alike, and have one parent
    env.job = cat("exchange.", getppid(), ".", topology_.node, ".", ++boards);
    board_ = std::make_unique<ProgressBoard>(env);
  }

  // Whether all that is to be known of other nodes is known here, and nothing else.
  bool knows(std::int64_t step) const {
    for (int rank = 0; rank < topology_.world_size; ++rank) {
      RowSnapshot row;
      const bool heard = board_->read_remote(rank, row) != 0;
      const bool is_mine = topology_.node_of_rank[static_cast<std::size_t>(rank)] == topology_.node;
      if (heard == is_mine) return false;
      if (heard && (row.rank != rank || row.step != step + rank || row.host.data() != host_name()))
        return false;
    }
    return true;
  }

  // All ranks have come here.
  void meet() const { MPI_Barrier(topology_.world.get()); }

  Topology topology_{GetParam()};
  std::unique_ptr<ProgressBoard> board_;
};

TEST_P(RowExchangeMpiTest, EveryRankSeesTheRowsOfOtherNodesBesideTheCollectives) {
  MpiCommunicator communicator(board_.get(), GetParam());
  for (const std::int64_t step : {100, 200}) {
    board_->begin_step(step + topology_.rank);
    std::vector<std::int64_t> values(1 << 16, 1);
    communicator.all_reduce(bytes_of(std::span(values)), DType::kI64).wait();
    EXPECT_EQ(values.back(), topology_.world_size);
    EXPECT_TRUE(eventually([&] { return knows(step); }));
    communicator.barrier();  // nobody goes on before all have seen it
  }
}

TEST_P(RowExchangeMpiTest, WhereMpiIsSilentTheRowsComeThroughTheRunFolder) {
  const std::string folder = fs::path(testing::TempDir()) / cat("row_exchange.", getppid(), ".", GetParam());
  fs::create_directories(folder);
  std::unique_ptr<RowExchange> exchange;
  if (topology_.leader()) {
    const RowExchangeOptions options{
        .period = milliseconds(20), .silence = milliseconds(60), .by_mpi = false};
    exchange = std::make_unique<RowExchange>(topology_, *board_, options);
    exchange->use_folder(folder);
  }
  for (const std::int64_t step : {100, 200}) {
    board_->begin_step(step + topology_.rank);
    EXPECT_TRUE(eventually([&] { return knows(step); }));
    meet();
  }
  if (exchange) exchange->finish();
  meet();
  EXPECT_TRUE(fs::is_empty(folder)) << "a run that ends well leaves no rows there";
  meet();
  if (topology_.rank == 0) fs::remove_all(folder);
}

TEST_P(RowExchangeMpiTest, EndsWithoutWaitingForAPeerThatIsLost) {
  if (!topology_.leader()) return;
  const RowExchange exchange(topology_, *board_, {.period = milliseconds(5)});
  std::this_thread::sleep_for(
      milliseconds(20 * topology_.node));  // they end one after the other, without goodbye
}

INSTANTIATE_TEST_SUITE_P(RanksPerNode, RowExchangeMpiTest, testing::Values(1, 2));

}  // namespace
}  // namespace rn::dist
