// The reducer over real ranks: sums, unequal orders of ready, ranks without samples.
#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "core/error.h"
#include "dist/gradient_reducer.h"
#include "dist/mpi_communicator.h"
#include "mpi_test_values.h"

namespace rn::dist {
namespace {

TEST(GradientReducerMpiTest, SumsTheWholeGradientInAnyOrderOfReady) {
  for (const int ranks_per_node : test::kRanksPerNode) {
    MpiCommunicator communicator(nullptr, ranks_per_node);
    const int rank = communicator.rank();
    std::vector<ParameterSpec> specs;
    for (int i = 0; i < 40; ++i) specs.push_back({cat("p", i), {1000 + 317 * i}, {1}, i % 2});
    const FlatLayout layout(std::move(specs), 60'000);
    ASSERT_GT(layout.buckets().size(), 3U);
    const auto size = static_cast<std::size_t>(layout.size());
    const auto memory = communicator.allocate(size * sizeof(double));
    auto* const gradient = reinterpret_cast<double*>(memory->bytes().data());
    GradientReducer reducer(communicator, layout, memory->bytes(), DType::kF64, DType::kF64);

    std::mt19937 random(static_cast<unsigned>(rank) + 99);  // every rank another order
    for (int step = 0; step < 8; ++step) {
      const int empty =
          step % (communicator.world_size() + 1) - 1;  // a rank without samples in this step, or none
      std::fill(gradient, gradient + size, 0.0);
      if (rank != empty) {
        std::vector<std::size_t> order(layout.entries().size());
        std::iota(order.begin(), order.end(), 0);
        std::shuffle(order.begin(), order.end(), random);
        for (const std::size_t e : order) {
          const auto& entry = layout.entries()[e];
          for (std::int64_t i = entry.offset; i < entry.offset + entry.numel; ++i) {
            gradient[i] = test::value<double>(rank, static_cast<std::size_t>(i + step));
          }
          // The last entries of two ranks are never ready: they count as they are.
          if (e + 3 < order.size() || rank > 1) reducer.ready(e);
        }
      }
      reducer.finalize();
      std::ptrdiff_t wrong = -1;
      for (const auto& entry : layout.entries()) {
        for (std::int64_t i = entry.offset; i < entry.offset + entry.numel && wrong < 0; ++i) {
          const auto at = static_cast<std::size_t>(i + step);
          double expected = test::sum_of_values<double>(communicator.world_size(), at);
          if (empty >= 0) expected -= test::value<double>(empty, at);
          if (gradient[i] != expected) wrong = i;
        }
      }
      EXPECT_EQ(wrong, -1) << "step " << step << ", " << ranks_per_node << " ranks per node";
    }
  }
}

}  // namespace
}  // namespace rn::dist
