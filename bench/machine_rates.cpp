// What the machine's arithmetic and memory reach at this moment, on some threads.
//   build/bin/machine_rates [--threads 2]
// Prints one JSON line: multiply-adds in float32 (GFLOP/s, two operations each, operands in registers) and
// copies between buffers larger than the second-level cache (GB/s, read and write counted).
#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kChains = 12;  // independent sums: more than latency times units
constexpr long kRepeats = 4'000'000;
constexpr int kRounds = 5;
constexpr std::size_t kCopyBytes = std::size_t{256} << 20;

// Each returns its operations. The sums are kept alive by the volatile store.
volatile float sink;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) double multiply_add_avx512() {
  __m512 sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 factor = _mm512_set1_ps(0.999F), term = _mm512_set1_ps(0.001F);
  for (long n = 0; n < kRepeats; ++n) {
    for (int i = 0; i < kChains; ++i) sums[i] = _mm512_fmadd_ps(sums[i], factor, term);
  }
  float total = 0;
  for (const __m512& sum : sums) total += _mm512_cvtss_f32(sum);
  sink = total;
  return 2.0 * 16 * kChains * static_cast<double>(kRepeats);
}

__attribute__((target("avx2,fma"))) double multiply_add_avx2() {
  __m256 sums[kChains];
  for (int i = 0; i < kChains; ++i) sums[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 factor = _mm256_set1_ps(0.999F), term = _mm256_set1_ps(0.001F);
  for (long n = 0; n < kRepeats; ++n) {
    for (int i = 0; i < kChains; ++i) sums[i] = _mm256_fmadd_ps(sums[i], factor, term);
  }
  float total = 0;
  for (const __m256& sum : sums) total += _mm256_cvtss_f32(sum);
  sink = total;
  return 2.0 * 8 * kChains * static_cast<double>(kRepeats);
}
#endif

// As wide as the compiler's baseline.
double multiply_add_plain() {
  constexpr int kWidth = 4;
  float sums[kChains * kWidth] = {};
  for (long n = 0; n < kRepeats; ++n) {
    for (float& sum : sums) sum = sum * 0.999F + 0.001F;
  }
  float total = 0;
  for (const float sum : sums) total += sum;
  sink = total;
  return 2.0 * kWidth * kChains * static_cast<double>(kRepeats);
}

double multiply_add() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return multiply_add_avx512();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return multiply_add_avx2();
#endif
  return multiply_add_plain();
}

struct Part {
  double amount = 0;
  Clock::time_point start, end;
};

// Of a round: from the first thread's start to the last one's end. The threads tell the time themselves: one
// that only waits for them is woken late where they hold all cores.
double rate_of(const std::vector<Part>& parts) {
  double amount = 0;
  auto start = parts.front().start, end = parts.front().end;
  for (const Part& part : parts) {
    amount += part.amount;
    start = std::min(start, part.start);
    end = std::max(end, part.end);
  }
  return amount / std::chrono::duration<double>(end - start).count();
}

// The best round's amount per second over all threads. `work(thread)` returns its amount.
template <class Work>
double best_rate(int threads, const Work& work) {
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::barrier ready(threads);
    std::vector<Part> parts(static_cast<std::size_t>(threads));
    std::vector<std::thread> workers;
    for (int thread = 0; thread < threads; ++thread) {
      workers.emplace_back([&, thread] {
        Part& part = parts[static_cast<std::size_t>(thread)];
        ready.arrive_and_wait();
        part.start = Clock::now();
        part.amount = work(thread);
        part.end = Clock::now();
      });
    }
    for (std::thread& worker : workers) worker.join();
    best = std::max(best, rate_of(parts));
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  if (argc == 3 && std::string(argv[1]) == "--threads") threads = std::atoi(argv[2]);
  if (threads < 1 || (argc != 1 && argc != 3)) {
    std::fprintf(stderr, "usage: machine_rates [--threads N]\n");
    return 2;
  }
  const double flops = best_rate(threads, [](int) { return multiply_add(); });
  std::vector<std::vector<char>> from(static_cast<std::size_t>(threads)), to(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    from[i].assign(kCopyBytes, 1);
    to[i].assign(kCopyBytes, 0);
  }
  const double bytes = best_rate(threads, [&](int thread) {
    const auto i = static_cast<std::size_t>(thread);
    std::memcpy(to[i].data(), from[i].data(), kCopyBytes);
    sink = static_cast<float>(to[i][kCopyBytes / 2]);
    return 2.0 * static_cast<double>(kCopyBytes);
  });
  std::printf("{\"threads\": %d, \"fma_fp32\": %.1f, \"copy\": %.2f}\n", threads, flops / 1e9, bytes / 1e9);
}
