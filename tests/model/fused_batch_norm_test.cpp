#include "model/fused_batch_norm.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/cpu_features.h"
#include "model/norm.h"
#include "model_testing.h"

namespace rn::model {
namespace {

using testing::relative_error;

constexpr std::int64_t kChannels = 19;  // one vector of 16 and a rest

struct Problem {
  Problem(torch::ScalarType dtype, std::int64_t n, std::uint64_t seed = 1) {
    torch::manual_seed(seed);
    const auto wide = torch::kFloat64;
    const auto parameter_type = dtype == torch::kBFloat16 ? torch::kFloat32 : dtype;
    const auto activation = [&](double shift, double scale) {
      return (torch::randn({n, kChannels, 6, 5}, wide) * scale + shift)
          .to(dtype)
          .contiguous(at::MemoryFormat::ChannelsLast);
    };
    input = activation(1, 2), residual = activation(0, 1), upstream = activation(0.2, 1);
    weight = (torch::rand({kChannels}, wide) + 0.5).to(parameter_type);
    bias = torch::randn({kChannels}, wide).to(parameter_type);
  }
  torch::Tensor input, residual, upstream, weight, bias;
};

struct Result {
  torch::Tensor output, mean, variance;
  std::vector<torch::Tensor> gradients;  // of input, weight, bias and, where there is one, residual
};

enum class Path { kFused, kPlain, kTwin };

Result run(const Problem& problem, bool relu, bool residual, Path path, torch::ScalarType dtype) {
  const auto leaf = [&](const torch::Tensor& tensor, torch::ScalarType type) {
    return tensor.detach().to(type).clone(at::MemoryFormat::Preserve).requires_grad_();
  };
  const auto parameter_type = dtype == torch::kBFloat16 ? torch::kFloat32 : dtype;
  const auto x = leaf(problem.input, dtype), r = leaf(problem.residual, dtype);
  const auto w = leaf(problem.weight, parameter_type), b = leaf(problem.bias, parameter_type);
  Result result;
  result.mean = torch::zeros({kChannels}, parameter_type), result.variance = torch::zeros_like(result.mean);
  const NormTail tail{relu, residual ? r : torch::Tensor()};
  if (path == Path::kTwin) {
    result.output = apply_tail(
        at::batch_norm(x, w, b, result.mean, result.variance, true, 1.0, kNormEpsilon, false), tail);
  } else {
    result.output =
        fused_batch_norm(x, w, b, kNormEpsilon, tail, result.mean, result.variance, path == Path::kPlain);
  }
  std::vector<torch::Tensor> inputs{x, w, b};
  if (residual) inputs.push_back(r);
  result.gradients = torch::autograd::grad({result.output}, inputs, {problem.upstream.to(dtype)});
  return result;
}

void expect_close(const Result& actual, const Result& expected, double tolerance) {
  EXPECT_LT(relative_error(actual.output, expected.output), tolerance);
  EXPECT_LT(relative_error(actual.mean, expected.mean), tolerance);
  EXPECT_LT(relative_error(actual.variance, expected.variance), tolerance);
  ASSERT_EQ(actual.gradients.size(), expected.gradients.size());
  for (std::size_t i = 0; i < actual.gradients.size(); ++i) {
    EXPECT_LT(relative_error(actual.gradients[i], expected.gradients[i]), tolerance) << "gradient " << i;
  }
}

bool cpu_fuses() { return kernels::avx512_bf16_available(); }

struct Tail {
  bool relu, residual;
};
class FusedBatchNormTest : public ::testing::TestWithParam<Tail> {};
INSTANTIATE_TEST_SUITE_P(Tails, FusedBatchNormTest,
                         ::testing::Values(Tail{false, false}, Tail{true, false}, Tail{false, true},
                                           Tail{true, true}));

// 30 n rows: with n = 20 more than two blocks.
TEST_P(FusedBatchNormTest, EqualsItsTwinInFloat64) {
  const auto [relu, residual] = GetParam();
  for (const std::int64_t n : {1, 20}) {
    const Problem problem(torch::kFloat64, n);
    expect_close(run(problem, relu, residual, Path::kPlain, torch::kFloat64),
                 run(problem, relu, residual, Path::kTwin, torch::kFloat64), 1e-12);
  }
}

TEST_P(FusedBatchNormTest, EqualsItsTwinInFloat32) {
  if (!cpu_fuses()) GTEST_SKIP() << "this CPU has no AVX-512 with bf16";
  const auto [relu, residual] = GetParam();
  for (const std::int64_t n : {1, 20}) {
    const Problem problem(torch::kFloat32, n);
    const auto exact = run(problem, relu, residual, Path::kTwin, torch::kFloat64);
    expect_close(run(problem, relu, residual, Path::kFused, torch::kFloat32), exact, 2e-6);
    expect_close(run(problem, relu, residual, Path::kPlain, torch::kFloat32), exact, 2e-6);
  }
}

// Against float64 on the same bf16 values: no worse than the operators one by one, which round in between.
TEST_P(FusedBatchNormTest, IsAtLeastAsExactAsItsTwinInBfloat16) {
  if (!cpu_fuses()) GTEST_SKIP() << "this CPU has no AVX-512 with bf16";
  const auto [relu, residual] = GetParam();
  const Problem problem(torch::kBFloat16, 20);
  const auto exact = run(problem, relu, residual, Path::kTwin, torch::kFloat64);
  const auto twin = run(problem, relu, residual, Path::kTwin, torch::kBFloat16);
  for (const Path path : {Path::kFused, Path::kPlain}) {
    const auto fused = run(problem, relu, residual, path, torch::kBFloat16);
    const auto no_worse = [](const torch::Tensor& ours, const torch::Tensor& theirs,
                             const torch::Tensor& truth) {
      EXPECT_LT(relative_error(ours, truth), 1.1 * relative_error(theirs, truth) + 1e-5);
    };
    EXPECT_LT(relative_error(fused.output, exact.output),
              4e-3);  // half a unit in the last place, 2^-9, at most
    no_worse(fused.output, twin.output, exact.output);
    for (std::size_t i = 0; i < fused.gradients.size(); ++i) {
      no_worse(fused.gradients[i], twin.gradients[i], exact.gradients[i]);
    }
  }
}

TEST_P(FusedBatchNormTest, InferenceEqualsItsTwin) {
  const auto [relu, residual] = GetParam();
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    const Problem problem(type, 12);
    const auto mean = problem.bias * 0.5, variance = problem.weight * 2;
    const NormTail tail{relu, residual ? problem.residual : torch::Tensor()};
    const torch::NoGradGuard no_grad;
    const auto twin = apply_tail(at::batch_norm(problem.input, problem.weight, problem.bias, mean, variance,
                                                false, 0.0, kNormEpsilon, false),
                                 tail);
    const auto fused = fused_batch_norm_inference(problem.input, problem.weight, problem.bias, kNormEpsilon,
                                                  tail, mean, variance, /*plain=*/true);
    EXPECT_LT(relative_error(fused, twin), type == torch::kFloat32 ? 1e-6 : 1e-14);
  }
}

TEST_P(FusedBatchNormTest, TakesAnyGradient) {
  const auto [relu, residual] = GetParam();
  const Problem problem(torch::kFloat64, 3);
  const NormTail tail{relu, residual ? problem.residual.clone().requires_grad_() : torch::Tensor()};
  const auto x = problem.input.clone().requires_grad_();
  const auto mean = torch::zeros_like(problem.weight), variance = torch::zeros_like(problem.weight);
  const auto forward = [&] {
    return fused_batch_norm(x, problem.weight, problem.bias, kNormEpsilon, tail, mean, variance,
                            /*plain=*/true);
  };
  const auto dense = torch::autograd::grad({forward()}, {x}, {torch::ones_like(problem.input)})[0];
  const auto y = forward();
  EXPECT_TRUE(torch::autograd::grad({y.sum()}, {x})[0].equal(dense));  // expanded
  EXPECT_TRUE(
      torch::autograd::grad({forward()}, {x}, {torch::ones(problem.input.sizes(), torch::kFloat64)})[0].equal(
          dense));  // NCHW
  if (residual) {   // its gradient alone
    const NormTail only{relu, tail.residual};
    const auto z =
        fused_batch_norm(problem.input, problem.weight, problem.bias, kNormEpsilon, only, mean, variance,
                         /*plain=*/true);
    const auto mask = relu ? (z > 0).to(torch::kFloat64) : torch::ones_like(z);
    EXPECT_TRUE(torch::autograd::grad({z.sum()}, {tail.residual})[0].equal(mask));
  }
}

// Independent of any other implementation: the gradient along random directions by central differences.
TEST_P(FusedBatchNormTest, HasTheGradientThatDifferencesShow) {
  const auto [relu, residual] = GetParam();
  const Problem problem(torch::kFloat64, 3, 5);
  const auto result = run(problem, relu, residual, Path::kPlain, torch::kFloat64);
  const auto value = [&, relu = relu, residual = residual](const Problem& at) {
    return (run(at, relu, residual, Path::kPlain, torch::kFloat64).output * problem.upstream)
        .sum()
        .item<double>();
  };
  const double h = 1e-6;
  const auto check = [&](torch::Tensor Problem::* member, const torch::Tensor& gradient) {
    const auto direction = torch::randn_like(problem.*member);
    Problem plus = problem, minus = problem;
    plus.*member = problem.*member + h * direction;
    minus.*member = problem.*member - h * direction;
    const double slope = (value(plus) - value(minus)) / (2 * h);
    EXPECT_NEAR((gradient * direction).sum().item<double>(), slope, 1e-6 * std::abs(slope) + 1e-6);
  };
  check(&Problem::input, result.gradients[0]);
  check(&Problem::weight, result.gradients[1]);
  check(&Problem::bias, result.gradients[2]);
  if (residual) check(&Problem::residual, result.gradients[3]);
}

TEST_P(FusedBatchNormTest, HasTheSameBitsForAnyNumberOfThreads) {
  const auto [relu, residual] = GetParam();
  const Problem problem(torch::kFloat32, 40);
  const int threads = at::get_num_threads();
  const Path path = cpu_fuses() ? Path::kFused : Path::kPlain;
  at::set_num_threads(1);
  const auto alone = run(problem, relu, residual, path, torch::kFloat32);
  at::set_num_threads(3);
  const auto shared = run(problem, relu, residual, path, torch::kFloat32);
  at::set_num_threads(threads);
  EXPECT_TRUE(alone.output.equal(shared.output));
  EXPECT_TRUE(alone.variance.equal(shared.variance));
  for (std::size_t i = 0; i < alone.gradients.size(); ++i) {
    EXPECT_TRUE(alone.gradients[i].equal(shared.gradients[i])) << "gradient " << i;
  }
}

TEST(FusedBatchNormStatisticsTest, AMeanFarFromZeroDoesNotSpoilTheVariance) {
  torch::manual_seed(3);
  const auto x = (torch::randn({20, kChannels, 6, 5}) + 1000).contiguous(at::MemoryFormat::ChannelsLast);
  auto mean = torch::zeros({kChannels}), variance = torch::zeros({kChannels});
  fused_batch_norm(x, torch::ones({kChannels}), torch::zeros({kChannels}), kNormEpsilon, {}, mean, variance,
                   /*plain=*/true);
  const auto wide = x.to(torch::kFloat64);
  EXPECT_LT(relative_error(variance, wide.var({0, 2, 3}, /*unbiased=*/true)), 1e-6);
  EXPECT_LT(relative_error(mean, wide.mean({0, 2, 3})), 1e-7);
}

// Sums about one value of the whole batch would lose it; within a block of 256 rows 2e-3 of it are lost.
TEST(FusedBatchNormStatisticsTest, ALoneFirstValueDoesNotSpoilTheVariance) {
  auto x = torch::zeros({256, kChannels, 32, 32}).contiguous(at::MemoryFormat::ChannelsLast);
  x.select(0, 0).select(1, 0).select(1, 0).fill_(3.3333);
  auto mean = torch::zeros({kChannels}), variance = torch::zeros({kChannels});
  fused_batch_norm(x, torch::ones({kChannels}), torch::zeros({kChannels}), kNormEpsilon, {}, mean, variance,
                   /*plain=*/true);
  EXPECT_LT(relative_error(variance, x.to(torch::kFloat64).var({0, 2, 3}, /*unbiased=*/true)), 1e-2);
}

TEST(FusedBatchNormStatisticsTest, OneValuePerChannelHasNoVariance) {
  auto mean = torch::zeros({kChannels}), variance = torch::ones({kChannels});
  const auto x = torch::randn({1, kChannels, 1, 1}).contiguous(at::MemoryFormat::ChannelsLast);
  const auto y = fused_batch_norm(x, torch::ones({kChannels}), torch::zeros({kChannels}), kNormEpsilon, {},
                                  mean, variance, /*plain=*/true);
  EXPECT_TRUE(variance.equal(torch::zeros({kChannels})));
  EXPECT_TRUE(mean.equal(x.flatten()));
  EXPECT_LT(y.abs().max().item<float>(), 1e-3);  // 0 but for the rounding of offset, times 1 / sqrt(epsilon)
}

TEST(FusedBatchNormStatisticsTest, NotANumberAndInfinityAreSeen) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const std::int64_t image : {0, 19}) {  // in the row that sums are shifted by, and far from it
      Problem problem(torch::kFloat32, 20);
      problem.input[image][7][0][0] = bad;
      const auto result = run(problem, true, false, Path::kPlain, torch::kFloat32);
      EXPECT_FALSE(result.output.select(1, 7).isfinite().any().item<bool>());
      EXPECT_FALSE(result.variance[7].isfinite().item<bool>());
      EXPECT_TRUE(result.output.select(1, 6).isfinite().all().item<bool>());
    }
  }
}

TEST(FusedBatchNormDispatchTest, WhatItCannotTakeGoesOperatorByOperator) {
  const Problem problem(torch::kFloat32, 2);
  EXPECT_EQ(can_fuse_batch_norm(problem.input, problem.weight), kernels::avx512_bf16_available());
  EXPECT_EQ(can_fuse_batch_norm(problem.input.to(torch::kBFloat16), problem.weight),
            kernels::avx512_bf16_available());
  EXPECT_FALSE(can_fuse_batch_norm(problem.input.contiguous(), problem.weight));  // not channels-last
  EXPECT_FALSE(can_fuse_batch_norm(problem.input.to(torch::kFloat64), problem.weight.to(torch::kFloat64)));
  EXPECT_FALSE(can_fuse_batch_norm(problem.input.narrow(0, 0, 0), problem.weight));
  ModelOptions options;
  for (const auto& input : {problem.input, problem.input.contiguous(), problem.input.narrow(0, 0, 0)}) {
    options.kernels = KernelChoice::kAuto;
    NormLayer chosen(options, kChannels, nullptr);
    options.kernels = KernelChoice::kTorch;
    NormLayer torch_only(options, kChannels, nullptr);
    const NormTail tail{true, input};
    EXPECT_LT(relative_error(chosen->forward_with(input, tail), torch_only->forward_with(input, tail)), 1e-6);
    EXPECT_LT(relative_error(chosen->batch_var, torch_only->batch_var), 1e-6);
    chosen->eval();
    torch_only->eval();
    EXPECT_LT(relative_error(chosen->forward_with(input, tail), torch_only->forward_with(input, tail)), 1e-6);
    const torch::NoGradGuard no_grad;
    EXPECT_LT(relative_error(chosen->forward_with(input, tail), torch_only->forward_with(input, tail)), 1e-6);
  }
}

}  // namespace
}  // namespace rn::model
