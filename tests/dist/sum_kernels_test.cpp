#include "dist/sum_kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "core/bfloat16.h"
#include "core/error.h"
#include "support/nearest_bf16.h"

namespace rn::dist {
namespace {

using testing_support::nearest_bf16;

TEST(Bf16Test, ArraysAreConvertedLikeSingleNumbers) {
  std::vector<float> source;
  for (int i = 0; i < 3001; ++i) source.push_back(std::sin(static_cast<float>(i)) * 1e3F);
  source[17] = std::bit_cast<float>(0x7f800001U);
  std::vector<std::uint16_t> packed(source.size());
  std::vector<float> back(source.size());
  pack_bf16(source.data(), packed.data(), source.size());
  unpack_bf16(packed.data(), back.data(), back.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    EXPECT_EQ(packed[i], to_bfloat16(source[i]).bits) << i;
    EXPECT_EQ(std::bit_cast<std::uint32_t>(back[i]),
              std::bit_cast<std::uint32_t>(to_float(BFloat16{packed[i]})))
        << i;
  }
}

template <typename T>
struct Arrays {
  std::vector<std::vector<T>> values;
  std::vector<const std::byte*> sources;
  Arrays(std::size_t ranks, std::size_t count, auto value) : values(ranks, std::vector<T>(count)) {
    for (std::size_t r = 0; r < ranks; ++r) {
      for (std::size_t i = 0; i < count; ++i) values[r][i] = value(r, i);
      sources.push_back(reinterpret_cast<const std::byte*>(values[r].data()));
    }
  }
};

template <typename T>
void expect_sums(DType dtype) {
  for (const std::size_t ranks : {1U, 2U, 3U, 5U}) {
    for (const std::size_t count : {0U, 1U, 7U, 1023U, 1024U, 1025U, 4099U}) {
      Arrays<T> a(ranks, count,
                  [](std::size_t r, std::size_t i) { return static_cast<T>(r * 1000 + i * (r + 1)); });
      std::vector<T> expected(count, T(0));
      for (const auto& v : a.values) {
        for (std::size_t i = 0; i < count; ++i) expected[i] += v[i];
      }
      std::vector<T> other(count);
      // The first destination is a source, as in an all_reduce in place.
      const std::vector<std::byte*> destinations{reinterpret_cast<std::byte*>(a.values[ranks / 2].data()),
                                                 reinterpret_cast<std::byte*>(other.data())};
      sum_arrays(a.sources, destinations, count, dtype, {});
      EXPECT_EQ(a.values[ranks / 2], expected) << name_of(dtype) << " ranks " << ranks << " count " << count;
      EXPECT_EQ(other, expected) << name_of(dtype) << " ranks " << ranks << " count " << count;
    }
  }
}

TEST(SumArraysTest, EveryTypeAndSizeSumsIntoEveryDestination) {
  expect_sums<float>(DType::kF32);
  expect_sums<double>(DType::kF64);
  expect_sums<std::int32_t>(DType::kI32);
  expect_sums<std::int64_t>(DType::kI64);
}

TEST(SumArraysTest, AddsInTheOrderOfTheSources) {
  // (1e8 + 1) - 1e8 is 0 in float32, (1e8 - 1e8) + 1 is 1.
  const std::vector<std::vector<float>> values{{1e8F}, {1.0F}, {-1e8F}};
  const auto at = [&](std::size_t i) { return reinterpret_cast<const std::byte*>(values[i].data()); };
  float sum = -1;
  std::byte* const destination = reinterpret_cast<std::byte*>(&sum);
  const std::vector<const std::byte*> forward{at(0), at(1), at(2)};
  sum_arrays(forward, {&destination, 1}, 1, DType::kF32, {});
  EXPECT_EQ(sum, 0.0F);
  const std::vector<const std::byte*> swapped{at(0), at(2), at(1)};
  sum_arrays(swapped, {&destination, 1}, 1, DType::kF32, {});
  EXPECT_EQ(sum, 1.0F);
}

TEST(SumArraysTest, IntegersWrapInsteadOfOverflowing) {
  const std::vector<std::int32_t> big{std::numeric_limits<std::int32_t>::max()};
  const std::vector<std::int32_t> one{1};
  std::int32_t sum = 0;
  std::byte* const destination = reinterpret_cast<std::byte*>(&sum);
  const std::vector<const std::byte*> sources{reinterpret_cast<const std::byte*>(big.data()),
                                              reinterpret_cast<const std::byte*>(one.data())};
  sum_arrays(sources, {&destination, 1}, 1, DType::kI32, {});
  EXPECT_EQ(sum, std::numeric_limits<std::int32_t>::min());
}

TEST(SumArraysTest, RoundsSourcesAndResultOnceEach) {
  const std::size_t count = 2050;
  Arrays<float> a(3, count, [](std::size_t r, std::size_t i) {
    return std::sin(static_cast<float>(i * 3 + r)) * (r == 1 ? 100.0F : 1.0F);
  });
  for (const Rounding rounding : {Rounding{true, true}, Rounding{true, false}, Rounding{false, true}}) {
    std::vector<float> sum(count);
    std::byte* const destination = reinterpret_cast<std::byte*>(sum.data());
    sum_arrays(a.sources, {&destination, 1}, count, DType::kF32, rounding);
    for (std::size_t i = 0; i < count; ++i) {
      const auto source = [&](std::size_t r) {
        return rounding.sources ? nearest_bf16(a.values[r][i]) : a.values[r][i];
      };
      float expected = source(0);
      expected += source(1);
      expected += source(2);
      if (rounding.result) expected = nearest_bf16(expected);
      ASSERT_EQ(sum[i], expected) << i << " " << rounding.sources << rounding.result;
    }
  }
}

TEST(SumArraysTest, RefusesTypesWithoutASum) {
  std::uint16_t value = 0;
  std::byte* const destination = reinterpret_cast<std::byte*>(&value);
  const std::vector<const std::byte*> sources{destination};
  EXPECT_THROW(sum_arrays(sources, {&destination, 1}, 1, DType::kF16, {}), InternalError);
  EXPECT_THROW(sum_arrays(sources, {&destination, 1}, 1, DType::kI32, {.sources = true}), InternalError);
}

}  // namespace
}  // namespace rn::dist
