// What follows the gradient of ResNet-18's 11.2 million parameters: clipping's norm, SGD, EMA, hashes.
//   build/bin/optimizer_bench [--benchmark_filter=REGEX] [--benchmark_format=json]
// Bytes: read and written. Threads: LibTorch's, see OMP_NUM_THREADS.
#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include "dist/single_communicator.h"
#include "model/factory.h"
#include "model/flat_parameters.h"
#include "train/averaging.h"
#include "train/optimizer.h"
#include "train/precision.h"
#include "train/storage_hash.h"

namespace {

using namespace rn;

struct State {
  dist::SingleCommunicator communicator;
  std::shared_ptr<model::Network> net = model::make_network({}, /*classes=*/10, /*seed=*/1, &communicator);
  model::FlatParameters params{*net, communicator, /*bucket_cap_elements=*/1 << 21};
  train::Sgd optimizer{{.momentum = 0.9, .nesterov = true, .weight_decay = 5e-4}, params};
  torch::Tensor finite = torch::zeros({1});

  State() { params.gradient.fill_(1e-3); }
  void count(benchmark::State& state, std::int64_t passes) const {
    state.SetBytesProcessed(state.iterations() * passes * static_cast<std::int64_t>(params.weights.nbytes()));
  }
};

void sgd(benchmark::State& state) {
  State s;
  for (auto _ : state) s.optimizer.step(1e-6, s.finite);
  s.count(state, 5);  // weights and momentum in and out, gradient in
}
BENCHMARK(sgd)->Unit(benchmark::kMillisecond)->UseRealTime();

void sgd_and_ema(benchmark::State& state) {
  State s;
  train::Ema ema({.enabled = true}, s.params);
  std::int64_t step = 0;
  for (auto _ : state) {
    s.optimizer.step(1e-6, s.finite);
    ema.update(++step, s.params);
  }
  s.count(state, 8);  // and the average in and out, weights in
}
BENCHMARK(sgd_and_ema)->Unit(benchmark::kMillisecond)->UseRealTime();

// Whether the gradient is finite, and its norm.
void unscale(benchmark::State& state) {
  State s;
  train::LossScaler scaler(train::Precision::kFP32, torch::kCPU);
  for (auto _ : state) benchmark::DoNotOptimize(scaler.unscale(s.params.gradient));
  s.count(state, 1);
}
BENCHMARK(unscale)->Unit(benchmark::kMillisecond)->UseRealTime();

void entry_hashes(benchmark::State& state) {
  State s;
  for (auto _ : state) {
    benchmark::DoNotOptimize(train::entry_hashes(s.params.layout(), s.params.weights).data());
  }
  s.count(state, 1);
}
BENCHMARK(entry_hashes)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
