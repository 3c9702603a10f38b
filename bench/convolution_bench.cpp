// The convolution kernels on the shapes of ResNet-18, on one thread.
//   build/bin/convolution_bench [images] [rounds]
// Prints the fastest of the rounds for the gradient by the weight, and where small_convolution pays, the
// output and the gradient by the input, with the packing of the weight. bench/peers/torch_convolutions.py
// prints PyTorch's.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "kernels/convolution.h"
#include "kernels/cpu_features.h"
#include "kernels/weight_gradient.h"

namespace {

using namespace rn;
using namespace rn::kernels;

std::vector<BFloat16> random_values(std::int64_t size) {
  std::mt19937 engine(1);
  std::normal_distribution<float> normal;
  std::vector<BFloat16> values(static_cast<std::size_t>(size));
  for (auto& value : values) value = to_bfloat16(normal(engine));
  return values;
}

// As pack_weight asks for.
struct Packed {
  explicit Packed(std::int64_t size)
      : data(static_cast<BFloat16*>(
            ::operator new(static_cast<std::size_t>(size) * sizeof(BFloat16), std::align_val_t(64)))) {}
  ~Packed() { ::operator delete(data, std::align_val_t(64)); }
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;
  BFloat16* const data;
};

template <class Run>
void measure(const char* name, const ConvolutionShape& s, int rounds, const Run& run) {
  double fastest = 1e9;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    fastest =
        std::min(fastest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const double flops = 2.0 * static_cast<double>(s.images * s.out_height() * s.out_width() * s.out_channels *
                                                 s.in_channels * s.kernel * s.kernel);
  std::printf("  %s %.2f ms (%.0f GFLOP/s)", name, fastest * 1e3, flops / fastest / 1e9);
}

template <class Pack>
void run_small(const ConvolutionShape& shape, const BFloat16* x, const ConvolutionShape& weight_shape,
               const BFloat16* weight, const Pack& pack, const Packed& packed, BFloat16* y) {
  for (std::int64_t pair = 0; pair < shape.out_channels / kChannelBlock; ++pair) {
    pack(weight_shape, weight, pair, packed.data);
  }
  const ConvolutionParts parts(shape, /*threads=*/1);
  for (std::int64_t i = 0; i < parts.size(); ++i) small_convolution(shape, x, packed.data, parts[i], y);
}

void run(const ConvolutionShape& s, int rounds) {
  auto x = random_values(s.images * s.height * s.width * s.in_channels);
  auto y = random_values(s.images * s.out_height() * s.out_width() * s.out_channels);
  const auto weight = random_values(s.out_channels * s.kernel * s.kernel * s.in_channels);
  std::vector<float> dw(weight.size());
  const Packed packed(static_cast<std::int64_t>(weight.size()));
  std::printf(
      "%3lld to %3lld channels, %2lldx%lld, kernel %lld, stride %lld:", static_cast<long long>(s.in_channels),
      static_cast<long long>(s.out_channels), static_cast<long long>(s.height),
      static_cast<long long>(s.width), static_cast<long long>(s.kernel), static_cast<long long>(s.stride));
  if (small_convolution_pays(s)) {
    measure("forward", s, rounds,
            [&] { run_small(s, x.data(), s, weight.data(), pack_weight, packed, y.data()); });
  }
  if (s.stride == 1 && small_convolution_pays(input_gradient_shape(s))) {
    measure("by the input", s, rounds, [&] {
      run_small(input_gradient_shape(s), y.data(), s, weight.data(), pack_weight_for_input_gradient, packed,
                x.data());
    });
  }
  measure("by the weight", s, rounds, [&] {
    const WeightBlocks blocks(s, /*threads=*/1);
    for (std::int64_t i = 0; i < blocks.size(); ++i) {
      weight_gradient(s, x.data(), y.data(), blocks[i], dw.data());
    }
  });
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t n = argc > 1 ? std::atoll(argv[1]) : 64;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 10;
  if (n < 1 || rounds < 1) {
    std::fprintf(stderr, "usage: convolution_bench [images] [rounds]\n");
    return 2;
  }
  if (!amx_bf16_available()) {
    std::fprintf(stderr, "convolution_bench: this CPU, or this build, has no AMX\n");
    return 3;
  }
  for (const std::int64_t in : {64, 128, 256, 512}) {
    const std::int64_t side = 2048 / in;
    if (in > 64) {
      run({n, 2 * side, 2 * side, in / 2, in, 3, 2, 1}, rounds);
      run({n, 2 * side, 2 * side, in / 2, in, 1, 2, 0}, rounds);
    }
    run({n, side, side, in, in, 3, 1, 1}, rounds);
  }
}
