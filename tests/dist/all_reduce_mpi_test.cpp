// all_reduce of the host communicator at several rank counts, on one node and on emulated ones.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "core/bfloat16.h"
#include "core/error.h"
#include "dist/mpi_communicator.h"
#include "dist/sum_kernels.h"
#include "mpi_test_values.h"

namespace rn::dist {
namespace {

using test::first_difference;

class AllReduceTest : public testing::TestWithParam<int> {
 protected:
  MpiCommunicator communicator_{nullptr, GetParam()};
  const int rank_ = communicator_.rank();
  const int world_ = communicator_.world_size();

  template <typename T>
  void expect_sum(std::span<T> data, DType dtype, const std::string& where) {
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = test::value<T>(rank_, i);
    communicator_.all_reduce(bytes_of(data), dtype).wait();
    const auto wrong = first_difference(data.data(), data.size(),
                                        [&](std::size_t i) { return test::sum_of_values<T>(world_, i); });
    EXPECT_EQ(wrong, -1) << where << " " << name_of(dtype) << " of " << data.size();
  }

  // Inside a shared buffer (from its start and from an odd offset) and in other memory.
  template <typename T>
  void expect_sums(DType dtype, std::span<const std::size_t> sizes) {
    for (const std::size_t size : sizes) {
      const auto buffer = communicator_.allocate((size + 3) * sizeof(T));
      auto* const shared = reinterpret_cast<T*>(buffer->bytes().data());
      expect_sum(std::span(shared, size), dtype, "in a buffer");
      expect_sum(std::span(shared + 3, size), dtype, "inside a buffer");
      std::vector<T> other(size);
      expect_sum(std::span(other), dtype, "outside");
    }
  }

  // The sum that the documentation promises: over a node's ranks by rank, then over the nodes, rounded to
  // bf16 where it is asked for. term(rank, i) is a rank's contribution.
  template <typename Term>
  float documented_sum(Term term, std::size_t i, bool bf16) const {
    const auto round = [&](float x) { return bf16 ? to_float(to_bfloat16(x)) : x; };
    const int per_node = GetParam() == 0 ? world_ : GetParam();
    float sum = 0;
    for (int first = 0; first < world_; first += per_node) {
      float node = round(term(first, i));
      for (int r = first + 1; r < std::min(first + per_node, world_); ++r) node += round(term(r, i));
      if (first == 0) {
        sum = node;
      } else {
        sum += node;
      }
    }
    return round(sum);
  }
};

float rough(int rank, std::size_t i) {
  return std::sin(static_cast<float>(i % 100003) * 0.37F + static_cast<float>(rank)) *
         std::exp2(static_cast<float>((i + static_cast<std::size_t>(rank) * 5) % 23));
}

TEST_P(AllReduceTest, SumsEveryTypeAndSize) {
  const std::vector<std::size_t> sizes{0, 1, 7, 63, 64, 65, 129, 511, 513, 2047, 2049, 100003, 600001};
  expect_sums<float>(DType::kF32, sizes);
  expect_sums<double>(DType::kF64, sizes);
  expect_sums<std::int32_t>(DType::kI32, sizes);
  expect_sums<std::int64_t>(DType::kI64, sizes);
}

TEST_P(AllReduceTest, SumsAGradientOfElevenMillion) {
  const std::vector<std::size_t> sizes{11'173'963};
  expect_sums<float>(DType::kF32, sizes);
}

TEST_P(AllReduceTest, SumsInTheDocumentedOrderOnAllRanks) {
  for (const std::size_t size : {1UL, 100UL, 1000003UL}) {
    const auto buffer = communicator_.allocate(size * sizeof(float));
    std::vector<float> other(size);
    for (float* data : {reinterpret_cast<float*>(buffer->bytes().data()), other.data()}) {
      for (std::size_t i = 0; i < size; ++i) data[i] = rough(rank_, i);
      communicator_.all_reduce(bytes_of(std::span(data, size)), DType::kF32).wait();
      EXPECT_EQ(first_difference(data, size, [&](std::size_t i) { return documented_sum(rough, i, false); }),
                -1)
          << size;
    }
  }
}

TEST_P(AllReduceTest, TheBf16WireRoundsEachContributionAndTheSumOnce) {
  for (const std::size_t size : {1UL, 100UL, 5000UL, 1000003UL}) {
    const auto buffer = communicator_.allocate(size * sizeof(float));
    std::vector<float> other(size);
    for (float* data : {reinterpret_cast<float*>(buffer->bytes().data()), other.data()}) {
      for (std::size_t i = 0; i < size; ++i) data[i] = rough(rank_, i);
      communicator_.all_reduce(bytes_of(std::span(data, size)), DType::kF32, DType::kBF16).wait();
      EXPECT_EQ(first_difference(data, size, [&](std::size_t i) { return documented_sum(rough, i, true); }),
                -1)
          << size;
    }
  }
}

TEST_P(AllReduceTest, NanOfOneRankReachesAll) {
  for (const DType wire : {DType::kF32, DType::kBF16}) {
    std::vector<float> data(3000, 1.0F);
    if (rank_ == world_ - 1) data[2999] = std::bit_cast<float>(0x7f800001U);
    communicator_.all_reduce(bytes_of(std::span(data)), DType::kF32, wire).wait();
    EXPECT_TRUE(std::isnan(data[2999]));
    EXPECT_EQ(data[0], static_cast<float>(world_));
  }
}

TEST_P(AllReduceTest, RanksMayMixSharedAndOtherMemory) {
  const std::size_t size = 300'000;
  const auto buffer = communicator_.allocate(size * sizeof(float));
  std::vector<float> other(size);
  for (int odd_one = 0; odd_one < world_; ++odd_one) {
    float* const data = rank_ == odd_one ? other.data() : reinterpret_cast<float*>(buffer->bytes().data());
    expect_sum(std::span(data, size), DType::kF32, cat("rank ", odd_one, " outside"));
  }
}

TEST_P(AllReduceTest, ManyWorksInFlightFinishInOrder) {
  const std::size_t size = 40'000;
  const std::size_t count = 25;
  const auto buffer = communicator_.allocate(count * size * sizeof(float));
  auto* const data = reinterpret_cast<float*>(buffer->bytes().data());
  for (std::size_t i = 0; i < count * size; ++i) data[i] = test::value<float>(rank_, i);
  std::vector<Work> works;
  for (std::size_t w = 0; w < count; ++w) {
    works.push_back(communicator_.all_reduce(bytes_of(std::span(data + w * size, size)), DType::kF32));
  }
  works.back().wait();
  for (const Work& work : works) EXPECT_TRUE(work.done());
  EXPECT_EQ(first_difference(data, count * size,
                             [&](std::size_t i) { return test::sum_of_values<float>(world_, i); }),
            -1);
}

TEST_P(AllReduceTest, ABufferMayBeDroppedWhileItIsReduced) {
  for (int round = 0; round < 20; ++round) {
    auto buffer = communicator_.allocate(200'000);
    Work work = communicator_.all_reduce(buffer->bytes(), DType::kI32);
    buffer.reset();
    work.wait();
  }
  std::vector<double> data(5);
  expect_sum(std::span(data), DType::kF64, "afterwards");
}

INSTANTIATE_TEST_SUITE_P(RanksPerNode, AllReduceTest, testing::ValuesIn(test::kRanksPerNode),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace rn::dist
