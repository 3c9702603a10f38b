#include "federated/update.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace rn::federated {
namespace {

// Around the lanes and the blocks of the sums.
constexpr std::int64_t kSizes[] = {0, 1, 63, 64, 65, 4095, 4096, 4097, 100'003};

class UpdateTest : public testing::TestWithParam<torch::ScalarType> {
 protected:
  void SetUp() override { torch::manual_seed(7); }
  torch::Tensor random(std::int64_t size) { return torch::randn({size}, torch::dtype(GetParam())); }
  static double norm_in_float64(const torch::Tensor& values) {
    return values.to(torch::kFloat64).norm().item<double>();
  }
};

TEST_P(UpdateTest, TheNormIsThatOfFloat64) {
  for (const std::int64_t size : kSizes) {
    const auto values = random(size);
    // 64 squares are added to a float32 lane at most, each addition 2^-24 off at most, and half of it in the
    // norm.
    EXPECT_NEAR(norm_of(values), norm_in_float64(values), 64 * 0x1p-25 * norm_in_float64(values)) << size;
  }
}

TEST_P(UpdateTest, TheDifferenceIsExactAndItsNormThatOfItsOwn) {
  for (const std::int64_t size : kSizes) {
    auto weights = random(size);
    const auto start = random(size), expected = weights - start;
    EXPECT_EQ(subtract(weights, start), norm_of(expected)) << size;
    EXPECT_TRUE(torch::equal(weights, expected)) << size;
  }
}

TEST_P(UpdateTest, AnElementThatIsNotFiniteShows) {
  for (const double value : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    for (const std::int64_t at : {0, 4095, 4096, 4999}) {
      auto weights = torch::zeros({5000}, torch::dtype(GetParam()));
      weights[at] = value;
      EXPECT_FALSE(std::isfinite(norm_of(weights)));
      EXPECT_FALSE(std::isfinite(subtract(weights, torch::zeros_like(weights))));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, UpdateTest, testing::Values(torch::kFloat32, torch::kFloat64),
                         [](const auto& test) { return std::string(c10::toString(test.param)); });

}  // namespace
}  // namespace rn::federated
