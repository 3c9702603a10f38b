// The CPU kernels on the shapes of ResNet-18, on one thread.
//   build/bin/kernels_bench [--benchmark_filter=REGEX] [--benchmark_format=json]
// Convolutions: the gradient by the weight, and where small_convolution pays, the output and the gradient by
// the input with the packing of the weight; GFLOP/s. bench/peers/torch_convolutions.py measures PyTorch's.
// The same in float32, of the shapes where float_convolution pays; --precision fp32 there.
// Linear layers of ten images of the federated networks, in float32, and their gradients; GFLOP/s.
// Norms: passes over channels-last activations; bytes read and written.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "kernels/convolution.h"
#include "kernels/cpu_features.h"
#include "kernels/float_convolution.h"
#include "kernels/float_linear.h"
#include "kernels/norm_kernels.h"
#include "kernels/weight_gradient.h"

namespace {

using namespace rn;
using namespace rn::kernels;

constexpr std::int64_t kImages = 64;

template <class T>
T from_float(float value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(value);
  } else {
    return value;
  }
}

template <class T = BFloat16>
std::vector<T> random_values(std::int64_t size) {
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  std::vector<T> values(static_cast<std::size_t>(size));
  for (T& value : values) value = from_float<T>(normal(engine));
  return values;
}

struct Free {
  void operator()(void* data) const { std::free(data); }
};

// 64-byte aligned, as packed weights are.
template <class T>
std::unique_ptr<T[], Free> aligned_values(std::size_t size) {
  void* const data = std::aligned_alloc(64, (size * sizeof(T) + 63) / 64 * 64);
  RN_CHECK(data != nullptr);
  return std::unique_ptr<T[], Free>(static_cast<T*>(data));
}

void count_flop(benchmark::State& state, const ConvolutionShape& s) {
  const auto outputs = static_cast<double>(s.images * s.out_height() * s.out_width() * s.out_channels);
  const double flop = 2.0 * outputs * static_cast<double>(s.in_channels * s.kernel * s.kernel);
  state.counters["GFLOP/s"] =
      benchmark::Counter(flop * static_cast<double>(state.iterations()) / 1e9, benchmark::Counter::kIsRate);
}

// What one convolution works on.
struct Convolution {
  explicit Convolution(const ConvolutionShape& s)
      : shape(s),
        x(random_values(s.images * s.height * s.width * s.in_channels)),
        y(random_values(s.images * s.out_height() * s.out_width() * s.out_channels)),
        weight(random_values(s.out_channels * s.kernel * s.kernel * s.in_channels)),
        gradient(weight.size()),
        packed(aligned_values<BFloat16>(weight.size())) {}

  const ConvolutionShape shape;
  std::vector<BFloat16> x, y, weight;
  std::vector<float> gradient;
  const std::unique_ptr<BFloat16[], Free> packed;
};

// `pack` lays out the weight for a convolution of `shape`, which the weight's own need not be.
template <class Pack>
void run_small(Convolution& c, const ConvolutionShape& shape, const Pack& pack, const BFloat16* in,
               BFloat16* out) {
  for (std::int64_t pair = 0; pair < shape.out_channels / kChannelBlock; ++pair) {
    pack(c.shape, c.weight.data(), pair, c.packed.get());
  }
  const ConvolutionParts parts(shape, /*threads=*/1);
  for (std::int64_t i = 0; i < parts.size(); ++i) small_convolution(shape, in, c.packed.get(), parts[i], out);
}

void forward(benchmark::State& state, const ConvolutionShape& shape) {
  Convolution c(shape);
  for (auto _ : state) run_small(c, shape, pack_weight, c.x.data(), c.y.data());
  count_flop(state, shape);
}

void input_gradient(benchmark::State& state, const ConvolutionShape& shape) {
  Convolution c(shape);
  const auto backward = input_gradient_shape(shape);
  for (auto _ : state) run_small(c, backward, pack_weight_for_input_gradient, c.y.data(), c.x.data());
  count_flop(state, shape);
}

void weight_gradient_of(benchmark::State& state, const ConvolutionShape& shape) {
  Convolution c(shape);
  for (auto _ : state) {
    const WeightBlocks blocks(shape, /*threads=*/1);
    for (std::int64_t i = 0; i < blocks.size(); ++i) {
      weight_gradient(shape, c.x.data(), c.y.data(), blocks[i], c.gradient.data());
    }
  }
  count_flop(state, shape);
}

// The same in float32.
struct FloatConvolution {
  explicit FloatConvolution(const ConvolutionShape& s)
      : shape(s),
        x(random_values<float>(s.images * s.height * s.width * s.in_channels)),
        y(random_values<float>(s.images * s.out_height() * s.out_width() * s.out_channels)),
        weight(random_values<float>(s.out_channels * s.kernel * s.kernel * s.in_channels)) {}

  const ConvolutionShape shape;
  std::vector<float> x, y, weight;
};

template <class Pack>
void run_float(benchmark::State& state, const FloatConvolution& c, const ConvolutionShape& shape,
               const Pack& pack, const float* in, float* out) {
  const auto packed = aligned_values<float>(static_cast<std::size_t>(packed_float_weight_size(shape)));
  for (auto _ : state) {
    pack(c.shape, c.weight.data(), packed.get());
    float_convolution(shape, in, packed.get(), nullptr, FloatActivation::kNone, 0, shape.images, out,
                      nullptr);
  }
  count_flop(state, c.shape);
}

void float_forward(benchmark::State& state, const ConvolutionShape& shape) {
  FloatConvolution c(shape);
  run_float(state, c, shape, pack_float_weight, c.x.data(), c.y.data());
}

void float_by_input(benchmark::State& state, const ConvolutionShape& shape) {
  FloatConvolution c(shape);
  run_float(state, c, input_gradient_shape(shape), pack_float_weight_for_input_gradient, c.y.data(),
            c.x.data());
}

void float_by_weight(benchmark::State& state, const ConvolutionShape& shape) {
  FloatConvolution c(shape);
  for (auto _ : state) {
    float_weight_gradient(shape, c.x.data(), c.y.data(), 0, shape.out_channels, c.weight.data());
  }
  count_flop(state, shape);
}

void register_convolution(const ConvolutionShape& s) {
  const std::string name = cat(s.in_channels, "to", s.out_channels, "/", s.height, "x", s.width, "/kernel",
                               s.kernel, "/stride", s.stride);
  const auto add = [&](const char* pass, auto run) {
    benchmark::RegisterBenchmark(cat(pass, "/", name).c_str(), run, s)->Unit(benchmark::kMillisecond);
  };
  if (avx512_available() && float_convolution_pays(s)) {
    add("float_convolution/forward", float_forward);
    if (s.stride == 1) add("float_convolution/by_input", float_by_input);
    add("float_convolution/by_weight", float_by_weight);
  }
  if (!amx_bf16_available()) return;
  if (small_convolution_pays(s)) add("convolution/forward", forward);
  if (s.stride == 1 && small_convolution_pays(input_gradient_shape(s)))
    add("convolution/by_input", input_gradient);
  if (weight_gradient_supports(s)) add("convolution/by_weight", weight_gradient_of);
}

void register_convolutions() {
  for (const std::int64_t channels : {64, 128, 256, 512}) {
    const std::int64_t side = 2048 / channels;
    if (channels > 64) {
      register_convolution({kImages, 2 * side, 2 * side, channels / 2, channels, 3, 2, 1});
      register_convolution({kImages, 2 * side, 2 * side, channels / 2, channels, 1, 2, 0});
    }
    register_convolution({kImages, side, side, channels, channels, 3, 1, 1});
  }
}

// float_linear and its gradients: pfl-research's large layer, and NIID-Bench's first.
void register_linears() {
  static const std::vector<float> values = random_values<float>(12544 * 128);
  static std::vector<float> out(values.size());
  const auto add = [](const std::string& name, const LinearShape& s, auto compute) {
    benchmark::RegisterBenchmark((name + "/" + std::to_string(s.in) + "x" + std::to_string(s.out)).c_str(),
                                 [s, compute](benchmark::State& state) {
                                   for (auto _ : state) compute(s);
                                   state.counters["FLOP/s"] =
                                       benchmark::Counter(2.0 * static_cast<double>(s.rows * s.in * s.out),
                                                          benchmark::Counter::kIsIterationInvariantRate);
                                 });
  };
  for (const LinearShape& s : {LinearShape{10, 12544, 128}, LinearShape{10, 400, 120}}) {
    const float* const in = values.data();
    add("float_linear/forward", s, [in](const LinearShape& shape) {
      float_linear(shape, in, in, /*bias=*/nullptr, 0, shape.out, out.data());
    });
    add("float_linear/by_input", s, [in](const LinearShape& shape) {
      float_linear_input_gradient(shape, in, in, 0, shape.in, out.data());
    });
    add("float_linear/by_weight", s, [in](const LinearShape& shape) {
      float_linear_weight_gradient(shape, in, in, 0, shape.out, out.data());
    });
    static auto weight = values;
    add("float_linear/step", s, [in](const LinearShape& shape) {
      float_linear_step(shape, in, in, /*lr=*/0, /*weight_decay=*/0, 0, shape.in, weight.data(), out.data());
    });
  }
}

// Rows of the first stage's activations, block by block as a thread has them.
template <class T>
void norm(benchmark::State& state, const NormKernels<T>* kernels, bool backward) {
  constexpr std::int64_t kRows = kImages * 32 * 32, kChannels = 64;
  const auto x = random_values<T>(kRows * kChannels), residual = random_values<T>(kRows * kChannels);
  auto y = random_values<T>(kRows * kChannels);
  using A = NormAccumulator<T>;
  const std::vector<A> ones(kChannels, 1), zeros(kChannels, 0);
  std::vector<A> mean(kChannels), distances(kChannels);
  using Mask = typename NormKernels<T>::Mask;
  for (auto _ : state) {
    for (std::int64_t row = 0; row < kRows; row += kNormBlockRows) {
      const std::int64_t at = row * kChannels;
      if (backward) {  // norm and relu: sums, then the gradient of the input
        kernels->backward_sums({residual.data() + at, x.data() + at, nullptr, zeros.data(), ones.data(),
                                zeros.data(), Mask::kFromInput, nullptr},
                               kNormBlockRows, kChannels, mean.data(), distances.data());
        kernels->backward_input({residual.data() + at, x.data() + at, zeros.data(), ones.data(), zeros.data(),
                                 ones.data(), zeros.data(), Mask::kFromInput, y.data() + at},
                                kNormBlockRows, kChannels);
      } else {  // moments, then norm, sum and relu
        kernels->moments(x.data() + at, kNormBlockRows, kChannels, mean.data(), distances.data());
        kernels->forward(x.data() + at, residual.data() + at, kNormBlockRows, kChannels, ones.data(),
                         zeros.data(), /*relu=*/true, y.data() + at);
      }
    }
    benchmark::ClobberMemory();
  }
  const std::int64_t passes = backward ? 5 : 4;  // reads and writes of an activation
  state.SetBytesProcessed(state.iterations() * passes * kRows * kChannels *
                          static_cast<std::int64_t>(sizeof(T)));
}

template <class T>
void register_norms(const std::string& type) {
  const auto add = [&](const std::string& isa, const NormKernels<T>* kernels) {
    for (const bool backward : {false, true}) {
      benchmark::RegisterBenchmark(
          cat("norm/", backward ? "backward" : "forward", "/", type, "/", isa).c_str(), norm<T>, kernels,
          backward)
          ->Unit(benchmark::kMillisecond);
    }
  };
  add("plain", &plain_norm_kernels<T>());
  if (const auto* fast = avx512_norm_kernels<T>()) add("avx512", fast);
}

}  // namespace

int main(int argc, char** argv) {
  register_norms<BFloat16>("bf16");
  register_norms<float>("fp32");
  register_convolutions();
  if (avx512_available()) register_linears();
  if (!amx_bf16_available()) {
    benchmark::AddCustomContext("convolutions in bf16", "left out: this CPU, or this build, has no AMX");
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
