// The host communicator's other collectives, its errors, and all of them in random order.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

#include "core/error.h"
#include "dist/mpi_communicator.h"
#include "mpi_test_values.h"

namespace rn::dist {
namespace {

using test::byte_value;
using test::first_difference;

class MpiCommunicatorTest : public testing::TestWithParam<int> {
 protected:
  MpiCommunicator communicator_{nullptr, GetParam()};
  const int rank_ = communicator_.rank();
  const int world_ = communicator_.world_size();

  void expect_broadcast(std::span<std::byte> data, int root, const std::string& where) {
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = byte_value(rank_, i);
    communicator_.broadcast(data, root).wait();
    EXPECT_EQ(first_difference(data.data(), data.size(), [&](std::size_t i) { return byte_value(root, i); }),
              -1)
        << where << " " << data.size() << " bytes from " << root;
  }

  void expect_all_gather(std::size_t size) {
    std::vector<std::byte> mine(size);
    for (std::size_t i = 0; i < size; ++i) mine[i] = byte_value(rank_, i);
    std::vector<std::byte> all(size * static_cast<std::size_t>(world_));
    communicator_.all_gather(mine, all).wait();
    for (int r = 0; r < world_; ++r) {
      const std::byte* part = all.data() + static_cast<std::size_t>(r) * size;
      EXPECT_EQ(first_difference(part, size, [&](std::size_t i) { return byte_value(r, i); }), -1)
          << size << " bytes of rank " << r;
    }
  }
};

TEST_P(MpiCommunicatorTest, KnowsItsRanksAndNodes) {
  const int per_node = GetParam() == 0 ? world_ : std::min(GetParam(), world_);
  EXPECT_EQ(communicator_.node_count(), (world_ + per_node - 1) / per_node);
  EXPECT_EQ(communicator_.local_rank(), rank_ % per_node);
  EXPECT_EQ(communicator_.local_size(), std::min(per_node, world_ - rank_ / per_node * per_node));
  EXPECT_EQ(communicator_.backend(), "mpi");
  EXPECT_FALSE(communicator_.on_device());
  EXPECT_EQ(&communicator_.host(), &communicator_);
}

TEST_P(MpiCommunicatorTest, BuffersAreAlignedZeroAndEachRanksOwn) {
  for (const std::size_t size : {0UL, 1UL, 4096UL, 100'001UL}) {
    const auto buffer = communicator_.allocate(size);
    ASSERT_EQ(buffer->bytes().size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->bytes().data()) % 4096, 0U);
    EXPECT_EQ(first_difference(buffer->bytes().data(), size, [](std::size_t) { return std::byte{0}; }), -1);
    communicator_.barrier();
    for (std::size_t i = 0; i < size; ++i) buffer->bytes()[i] = byte_value(rank_, i);
    communicator_.barrier();
    EXPECT_EQ(
        first_difference(buffer->bytes().data(), size, [&](std::size_t i) { return byte_value(rank_, i); }),
        -1);
  }
}

TEST_P(MpiCommunicatorTest, BroadcastsFromEveryRank) {
  for (const std::size_t size : {0UL, 1UL, 511UL, 513UL, 8192UL, 8193UL, 1'000'001UL, 3'500'003UL}) {
    const auto buffer = communicator_.allocate(size);
    std::vector<std::byte> other(size);
    for (int root = 0; root < world_; ++root) {
      expect_broadcast(buffer->bytes(), root, "in a buffer");
      expect_broadcast(other, root, "outside");
      expect_broadcast(rank_ == root ? std::span<std::byte>(other) : buffer->bytes(), root, "root outside");
    }
  }
}

TEST_P(MpiCommunicatorTest, GathersInRankOrder) {
  for (const std::size_t size : {0UL, 1UL, 48UL, 511UL, 513UL, 8192UL, 8193UL, 700'001UL, 2'100'007UL})
    expect_all_gather(size);
}

TEST_P(MpiCommunicatorTest, BarrierFinishesWhatWasStartedBefore) {
  std::vector<float> data(100'000, 1.0F);
  const Work work = communicator_.all_reduce(bytes_of(std::span(data)), DType::kF32);
  communicator_.barrier();
  EXPECT_TRUE(work.done());
}

TEST_P(MpiCommunicatorTest, ManyRandomCollectivesInSequence) {
  const unsigned seed = 20240 + static_cast<unsigned>(GetParam());
  SCOPED_TRACE(cat("seed ", seed));
  std::mt19937 shared(seed);                                     // the same on all ranks
  std::mt19937 own(seed + 1000 + static_cast<unsigned>(rank_));  // where this rank's memory lies
  const std::size_t limit = 3'000'000;
  const auto buffer = communicator_.allocate(2 * limit);
  for (int round = 0; round < 150; ++round) {
    SCOPED_TRACE(cat("round ", round));
    const auto kind = shared() % 5;
    std::size_t size = shared() % (std::size_t{1} << (2 + shared() % 20));
    if (kind <= 1) {
      const std::size_t count = std::max(size / 4, std::size_t{1});
      std::vector<float> other;
      float* data = reinterpret_cast<float*>(buffer->bytes().data()) + own() % 100;
      if (own() % 3 == 0) {
        other.resize(count);
        data = other.data();
      }
      for (std::size_t i = 0; i < count; ++i) data[i] = test::value<float>(rank_, i + kind);
      Work work = communicator_.all_reduce(bytes_of(std::span(data, count)), DType::kF32,
                                           kind == 0 ? DType::kF32 : DType::kBF16);
      // A second one in flight beside it, elsewhere in the buffer.
      auto* vote = reinterpret_cast<std::int64_t*>(buffer->bytes().data() + limit + 2048);
      for (std::size_t i = 0; i < 6; ++i) vote[i] = test::value<std::int64_t>(rank_, i);
      communicator_.all_reduce(bytes_of(std::span(vote, 6)), DType::kI64).wait();
      work.wait();
      // Whole numbers up to 200: exact in bf16 too.
      EXPECT_EQ(first_difference(data, count,
                                 [&](std::size_t i) { return test::sum_of_values<float>(world_, i + kind); }),
                -1);
      EXPECT_EQ(first_difference(vote, 6,
                                 [&](std::size_t i) { return test::sum_of_values<std::int64_t>(world_, i); }),
                -1);
    } else if (kind == 2) {
      const int root = static_cast<int>(shared() % static_cast<unsigned>(world_));
      std::vector<std::byte> other(size);
      expect_broadcast(own() % 2 ? buffer->bytes().subspan(own() % 77, size) : std::span<std::byte>(other),
                       root, "random");
    } else if (kind == 3) {
      expect_all_gather(size);
    } else {
      communicator_.barrier();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(RanksPerNode, MpiCommunicatorTest, testing::ValuesIn(test::kRanksPerNode),
                         testing::PrintToStringParamName());

// What the last rank starts differs from what the others start, in one way per case.
struct Mismatch {
  const char* name;
  const char* words;  // in the message, besides the ranks
  Work (*start)(Communicator&, std::span<std::byte>, bool odd);
};

void PrintTo(const Mismatch& mismatch, std::ostream* out) { *out << mismatch.name; }

class MismatchTest : public testing::TestWithParam<std::tuple<Mismatch, int>> {};

TEST_P(MismatchTest, EveryRankGetsAnErrorThatNamesBothSides) {
  const auto& [mismatch, ranks_per_node] = GetParam();
  MpiCommunicator communicator(nullptr, ranks_per_node);
  const int last = communicator.world_size() - 1;
  const auto buffer = communicator.allocate(65536);
  communicator.barrier();
  std::memset(buffer->bytes().data(), 0x11, 65536);
  if (last == 0) {  // one rank agrees with itself
    EXPECT_NO_THROW(mismatch.start(communicator, buffer->bytes(), false).wait());
    return;
  }
  Work work = mismatch.start(communicator, buffer->bytes(), communicator.rank() == last);
  try {
    work.wait();
    ADD_FAILURE() << "no error";
  } catch (const InternalError& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("rank 0 "), std::string::npos) << text;
    EXPECT_NE(text.find(cat("rank ", last, " ")), std::string::npos) << text;
    EXPECT_NE(text.find(mismatch.words), std::string::npos) << text;
  }
  EXPECT_EQ(first_difference(buffer->bytes().data(), 65536, [](std::size_t) { return std::byte{0x11}; }), -1)
      << "no data has moved";
  EXPECT_THROW(communicator.barrier(), InternalError) << "later collectives end too instead of hanging";
}

const Mismatch kMismatches[] = {
    {"Size", "16384 bytes",
     [](Communicator& c, std::span<std::byte> d, bool odd) {
       return c.all_reduce(d.first(odd ? 16384 : 32768), DType::kF32);
     }},
    {"SmallSize", "8 bytes",
     [](Communicator& c, std::span<std::byte> d, bool odd) {
       return c.all_reduce(d.first(odd ? 8 : 24), DType::kF32);
     }},
    {"SmallAndLarge", "8 bytes",
     [](Communicator& c, std::span<std::byte> d, bool odd) {
       return c.all_reduce(odd ? d.first(8) : d, DType::kF32);
     }},
    {"Type", "f64",
     [](Communicator& c, std::span<std::byte> d, bool odd) {
       return c.all_reduce(d, odd ? DType::kF64 : DType::kF32);
     }},
    {"Wire", "as bf16",
     [](Communicator& c, std::span<std::byte> d, bool odd) {
       return c.all_reduce(d, DType::kF32, odd ? DType::kBF16 : DType::kF32);
     }},
    {"Root", "from rank 1",
     [](Communicator& c, std::span<std::byte> d, bool odd) { return c.broadcast(d, odd ? 1 : 0); }},
    {"Kind", "broadcast",
     [](Communicator& c, std::span<std::byte> d, bool odd) {
       return odd ? c.broadcast(d, 0) : c.all_reduce(d, DType::kF32);
     }},
};

INSTANTIATE_TEST_SUITE_P(Calls, MismatchTest,
                         testing::Combine(testing::ValuesIn(kMismatches),
                                          testing::ValuesIn(test::kRanksPerNode)),
                         [](const auto& param_info) {
                           return cat(std::get<0>(param_info.param).name, "PerNode",
                                      std::get<1>(param_info.param));
                         });

TEST(MpiCommunicatorErrorTest, RefusesWhatNoRankCanDo) {
  MpiCommunicator communicator;
  std::vector<std::byte> data(12);
  EXPECT_THROW((void)communicator.all_reduce(data, DType::kF16), InternalError);
  EXPECT_THROW((void)communicator.all_reduce(data, DType::kI64), InternalError);
  EXPECT_THROW((void)communicator.broadcast(data, communicator.world_size()), InternalError);
  EXPECT_THROW((void)communicator.all_gather(data, std::span(data).first(5)), InternalError);
  communicator.barrier();  // nothing was started: the communicator is as good as before
}

TEST(MpiCommunicatorErrorTest, AbandonedCollectivesEndThoughThePeersNeverArrive) {
  MpiCommunicator communicator;
  std::vector<float> data(100'000);
  std::vector<Work> works;
  if (communicator.rank() > 0) {  // rank 0 never takes part
    works.push_back(communicator.all_reduce(bytes_of(std::span(data)), DType::kF32));
    works.push_back(communicator.broadcast(bytes_of(std::span(data)), 0));
  }
  communicator.abandon();
  for (Work& work : works) EXPECT_THROW(work.wait(), InternalError);
  EXPECT_THROW(communicator.barrier(), InternalError) << "nothing starts any more";
}

TEST(MpiCommunicatorErrorTest, AnExceptionInAStepDoesNotWaitForThePeers) {
  MpiCommunicator communicator;
  if (communicator.rank() == 0 && communicator.world_size() > 1) return;
  EXPECT_THROW(
      {
        std::vector<float> data(100'000);
        const Work work = communicator.all_reduce(bytes_of(std::span(data)), DType::kF32);
        throw std::runtime_error("this rank fails in its step");
      },
      std::runtime_error);
}

}  // namespace
}  // namespace rn::dist
