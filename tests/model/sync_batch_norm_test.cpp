#include "model/sync_batch_norm.h"

#include <gtest/gtest.h>

#include "model_testing.h"

namespace rn::model {
namespace {

using testing::relative_error;
using testing::WatchedCommunicator;

constexpr double kEpsilon = 1e-5;

TEST(SyncBatchNormTest, OnOneRankEqualsBatchNorm) {
  dist::SingleCommunicator single;
  WatchedCommunicator device(/*claims_device=*/true);  // a CPU tensor then travels by its host()
  struct Case {
    torch::ScalarType dtype;
    at::MemoryFormat format;
    double tolerance;
  };
  for (const Case& c : {Case{torch::kFloat64, at::MemoryFormat::Contiguous, 1e-12},
                        Case{torch::kFloat64, at::MemoryFormat::ChannelsLast, 1e-12},
                        Case{torch::kFloat32, at::MemoryFormat::Contiguous, 1e-5},
                        Case{torch::kFloat32, at::MemoryFormat::ChannelsLast, 1e-5}}) {
    for (Communicator* communicator :
         {static_cast<Communicator*>(&single), static_cast<Communicator*>(&device)}) {
      torch::manual_seed(1);
      const auto x = (torch::randn({4, 7, 3, 5}, c.dtype) * 3 + 1).contiguous(c.format);
      const auto dy = torch::randn({4, 7, 3, 5}, c.dtype);
      const auto leaf = [](const torch::Tensor& value) { return value.clone().requires_grad_(); };
      const auto w = torch::rand({7}, c.dtype) + 0.5, b = torch::randn({7}, c.dtype);

      const auto x1 = leaf(x), w1 = leaf(w), b1 = leaf(b);
      const auto [y1, mean, variance] = sync_batch_norm(x1, w1, b1, kEpsilon, *communicator);
      y1.backward(dy);
      const auto x2 = leaf(x), w2 = leaf(w), b2 = leaf(b);
      const auto y2 = at::batch_norm(x2, w2, b2, {}, {}, true, 0.1, kEpsilon, false);
      y2.backward(dy);

      SCOPED_TRACE(cat(torch::toString(c.dtype), " ", c.format, " ", communicator->backend()));
      EXPECT_LT(relative_error(y1, y2), c.tolerance);
      EXPECT_LT(relative_error(x1.grad(), x2.grad()), c.tolerance);
      EXPECT_LT(relative_error(w1.grad(), w2.grad()), c.tolerance);
      EXPECT_LT(relative_error(b1.grad(), b2.grad()), c.tolerance);
      EXPECT_LT(relative_error(mean, x.mean({0, 2, 3})), c.tolerance);
      EXPECT_LT(relative_error(variance, x.var({0, 2, 3}, true)), c.tolerance);
      EXPECT_TRUE(y1.is_contiguous(c.format));
    }
  }
}

TEST(SyncBatchNormTest, GradientIsTheDerivative) {
  dist::SingleCommunicator single;
  torch::manual_seed(2);
  const auto x = torch::randn({3, 2, 2, 2}, torch::kFloat64).requires_grad_();
  const auto w = torch::rand({2}, torch::kFloat64), b = torch::zeros({2}, torch::kFloat64);
  const auto weighting = torch::randn({3, 2, 2, 2}, torch::kFloat64);
  const auto loss = [&](const torch::Tensor& input) {
    return (std::get<0>(sync_batch_norm(input, w, b, kEpsilon, single)).square() * weighting).sum();
  };
  loss(x).backward();
  const torch::NoGradGuard no_grad;
  constexpr double kStep = 1e-6;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const auto moved = [&](double by) {
      auto input = x.detach().clone();
      input.view({-1})[i] += by;
      return loss(input).item<double>();
    };
    EXPECT_NEAR(x.grad().view({-1})[i].item<double>(), (moved(kStep) - moved(-kStep)) / (2 * kStep), 1e-7)
        << i;
  }
}

TEST(SyncBatchNormTest, LargeMeansDoNotCancel) {
  dist::SingleCommunicator single;
  torch::manual_seed(3);
  const auto x = torch::randn({8, 3, 4, 4}) + 10000.0;  // float32 keeps about three digits of the deviation
  const auto ones = torch::ones({3}), zeros = torch::zeros({3});
  const auto [y, mean, variance] = sync_batch_norm(x, ones, zeros, kEpsilon, single);
  EXPECT_LT(relative_error(variance, x.to(torch::kFloat64).var({0, 2, 3}, true)), 1e-4);
}

TEST(SyncBatchNormTest, RefusesToBeDifferentiatedTwice) {
  dist::SingleCommunicator single;
  const auto x = torch::randn({3, 2, 2, 2}).requires_grad_();
  const auto w = torch::ones({2}).requires_grad_(), b = torch::zeros({2}).requires_grad_();
  const auto y = std::get<0>(sync_batch_norm(x, w, b, kEpsilon, single));
  EXPECT_ANY_THROW(
      torch::autograd::grad({y.square().sum()}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true));
}

TEST(SyncBatchNormTest, RefusesAnInputOfOtherChannels) {
  dist::SingleCommunicator single;
  EXPECT_THROW(
      sync_batch_norm(torch::ones({1, 3, 2, 2}), torch::ones({2}), torch::ones({2}), kEpsilon, single),
      InternalError);
}

}  // namespace
}  // namespace rn::model
