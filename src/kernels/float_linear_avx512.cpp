// REQUIRES everywhere: avx512_available().
#include <array>
#include <utility>

#include "kernels/float_frames.h"
#include "kernels/float_linear.h"

namespace rn::kernels {
namespace {

constexpr std::int64_t kStretch = 2048;  // values of a row between two reductions: some rows fit the cache
constexpr int kDotOutputs = 4;           // 4 x 5 sums, each a vector of its own
constexpr int kDotRows = 5;
constexpr int kGradientRows = 10;       // 10 x 2 sums
constexpr std::int64_t kTogether = 16;  // weight rows that stream side by side
constexpr int kGradientOutputs = 8;     // 8 x 2 sums
constexpr std::int64_t kPair = 2 * kLanes;

// kTable[i]: the function of i + 1 rows.
template <template <int> typename Of, int... kIndex>
constexpr auto table_of(std::integer_sequence<int, kIndex...>) {
  return std::array{&Of<kIndex + 1>::run...};
}

struct Dots {
  const float* x;
  const float* weight;
  float* y;
  std::int64_t outputs;    // 1 to kDotOutputs
  std::int64_t count;      // values of this stretch
  std::int64_t step, out;  // from row to row of x and weight, and of y
};

// Adds the products over one stretch to a block of y.
template <int kRows>
struct AddDots {
  static void run(const Dots& t) {
    __m512 sums[kDotOutputs][kRows];
#pragma GCC unroll 4
    for (int o = 0; o < kDotOutputs; ++o) {
#pragma GCC unroll 5
      for (int n = 0; n < kRows; ++n) sums[o][n] = _mm512_setzero_ps();
    }
    const float*
        weights[kDotOutputs];  // the last ones once more where there are fewer: their sums are dropped
    for (int o = 0; o < kDotOutputs; ++o)
      weights[o] = t.weight + std::min<std::int64_t>(o, t.outputs - 1) * t.step;
    for (std::int64_t k = 0; k < t.count; k += kLanes) {
      const __mmask16 lanes = first_lanes(t.count - k);
      __m512 w[kDotOutputs];
#pragma GCC unroll 4
      for (int o = 0; o < kDotOutputs; ++o) w[o] = _mm512_maskz_loadu_ps(lanes, weights[o] + k);
#pragma GCC unroll 5
      for (int n = 0; n < kRows; ++n) {
        const __m512 x = _mm512_maskz_loadu_ps(lanes, t.x + n * t.step + k);
#pragma GCC unroll 4
        for (int o = 0; o < kDotOutputs; ++o) sums[o][n] = _mm512_fmadd_ps(x, w[o], sums[o][n]);
      }
    }
#pragma GCC unroll 4
    for (int o = 0; o < kDotOutputs; ++o) {
#pragma GCC unroll 5
      for (int n = 0; n < kRows; ++n) {  // by constants alone, so that the sums stay in registers
        if (o < t.outputs) t.y[n * t.out + o] += _mm512_reduce_add_ps(sums[o][n]);
      }
    }
  }
};

struct Columns {
  const float* dy;
  const float* weight;
  float* dx;
  std::int64_t outputs;  // weight rows
  std::array<__mmask16, 2> lanes;
  std::int64_t in, out;  // steps
  bool adds;             // to what dx holds
};

// Two vectors of columns of some rows of dx.
template <int kRows>
struct AddColumns {
  static void run(const Columns& t) {
    __m512 sums[kRows][2];
#pragma GCC unroll 10
    for (int n = 0; n < kRows; ++n) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        sums[n][v] =
            t.adds ? _mm512_maskz_loadu_ps(t.lanes[v], t.dx + n * t.in + v * kLanes) : _mm512_setzero_ps();
      }
    }
    const float* weight = t.weight;
    for (std::int64_t o = 0; o < t.outputs; ++o, weight += t.in) {
      const __m512 first = _mm512_maskz_loadu_ps(t.lanes[0], weight);
      const __m512 second = _mm512_maskz_loadu_ps(t.lanes[1], weight + kLanes);
#pragma GCC unroll 10
      for (int n = 0; n < kRows; ++n) {
        const __m512 d = _mm512_set1_ps(t.dy[n * t.out + o]);
        sums[n][0] = _mm512_fmadd_ps(d, first, sums[n][0]);
        sums[n][1] = _mm512_fmadd_ps(d, second, sums[n][1]);
      }
    }
#pragma GCC unroll 10
    for (int n = 0; n < kRows; ++n) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) _mm512_mask_storeu_ps(t.dx + n * t.in + v * kLanes, t.lanes[v], sums[n][v]);
    }
  }
};

// What becomes of a sum of dw: it is stored, or the weight makes a step with it.
struct Store {
  __m512 operator()(__m512 sum, __mmask16, const float*) const { return sum; }
};
struct Step {
  float lr, weight_decay;
  __m512 operator()(__m512 sum, __mmask16 lanes, const float* weight) const {
    const __m512 w = _mm512_maskz_loadu_ps(lanes, weight);
    const __m512 gradient = _mm512_fmadd_ps(w, _mm512_set1_ps(weight_decay), sum);
    return _mm512_fnmadd_ps(gradient, _mm512_set1_ps(lr), w);
  }
};

template <typename End>
struct Outers {
  const float* x;
  const float* dy;
  float* to;  // dw, or the weight
  std::int64_t rows;
  std::array<__mmask16, 2> lanes;
  std::int64_t in, out;  // steps
  End end;
};

// Two vectors of columns of some rows of dw.
template <int kOutputs, typename End>
struct SumOuters {
  static void run(const Outers<End>& t) {
    __m512 sums[kOutputs][2];
#pragma GCC unroll 8
    for (int o = 0; o < kOutputs; ++o) sums[o][0] = sums[o][1] = _mm512_setzero_ps();
    const float *x = t.x, *dy = t.dy;
    for (std::int64_t n = 0; n < t.rows; ++n, x += t.in, dy += t.out) {
      const __m512 first = _mm512_maskz_loadu_ps(t.lanes[0], x);
      const __m512 second = _mm512_maskz_loadu_ps(t.lanes[1], x + kLanes);
#pragma GCC unroll 8
      for (int o = 0; o < kOutputs; ++o) {
        const __m512 d = _mm512_set1_ps(dy[o]);
        sums[o][0] = _mm512_fmadd_ps(d, first, sums[o][0]);
        sums[o][1] = _mm512_fmadd_ps(d, second, sums[o][1]);
      }
    }
#pragma GCC unroll 8
    for (int o = 0; o < kOutputs; ++o) {
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        float* const to = t.to + o * t.in + v * kLanes;
        _mm512_mask_storeu_ps(to, t.lanes[v], t.end(sums[o][v], t.lanes[v], to));
      }
    }
  }
};

constexpr auto kAddDots = table_of<AddDots>(std::make_integer_sequence<int, kDotRows>());
constexpr auto kAddColumns = table_of<AddColumns>(std::make_integer_sequence<int, kGradientRows>());
template <int kOutputs>
using StoreOuters = SumOuters<kOutputs, Store>;
template <int kOutputs>
using StepOuters = SumOuters<kOutputs, Step>;
constexpr auto kStoreOuters = table_of<StoreOuters>(std::make_integer_sequence<int, kGradientOutputs>());
constexpr auto kStepOuters = table_of<StepOuters>(std::make_integer_sequence<int, kGradientOutputs>());

// Lanes of two vectors that hold `count` values.
std::array<__mmask16, 2> two_vectors(std::int64_t count) {
  return {first_lanes(count), first_lanes(std::max<std::int64_t>(0, count - kLanes))};
}

// Calls part(first, count) for [begin, end) in pieces of at most `most`.
template <typename Part>
void in_pieces(std::int64_t begin, std::int64_t end, std::int64_t most, Part part) {
  for (std::int64_t first = begin; first < end; first += most) part(first, std::min(most, end - first));
}

// Adds weight rows [o, o + outputs) to two vectors of columns of dx; the first rows begin it.
void add_columns(const LinearShape& s, const float* dy, const float* weight, std::int64_t o,
                 std::int64_t outputs, std::int64_t k, const std::array<__mmask16, 2>& lanes, float* dx) {
  in_pieces(0, s.rows, kGradientRows, [&](std::int64_t n, std::int64_t rows) {
    kAddColumns[static_cast<std::size_t>(rows - 1)](
        {dy + n * s.out + o, weight + o * s.in + k, dx + n * s.in + k, outputs, lanes, s.in, s.out, o > 0});
  });
}

}  // namespace

void float_linear(const LinearShape& s, const float* x, const float* weight, const float* bias,
                  std::int64_t begin, std::int64_t end, float* y) {
  for (std::int64_t n = 0; n < s.rows; ++n) {
    for (std::int64_t o = begin; o < end; ++o) y[n * s.out + o] = bias ? bias[o] : 0.0F;
  }
  in_pieces(0, s.in, kStretch, [&](std::int64_t k, std::int64_t count) {
    in_pieces(begin, end, kDotOutputs, [&](std::int64_t o, std::int64_t outputs) {
      in_pieces(0, s.rows, kDotRows, [&](std::int64_t n, std::int64_t rows) {
        kAddDots[static_cast<std::size_t>(rows - 1)](
            {x + n * s.in + k, weight + o * s.in + k, y + n * s.out + o, outputs, count, s.in, s.out});
      });
    });
  });
}

void float_linear_input_gradient(const LinearShape& s, const float* dy, const float* weight,
                                 std::int64_t begin, std::int64_t end, float* dx) {
  in_pieces(0, s.out, kTogether, [&](std::int64_t o, std::int64_t outputs) {
    in_pieces(begin, end, kPair, [&](std::int64_t k, std::int64_t count) {
      add_columns(s, dy, weight, o, outputs, k, two_vectors(count), dx);
    });
  });
}

void float_linear_weight_gradient(const LinearShape& s, const float* x, const float* dy, std::int64_t begin,
                                  std::int64_t end, float* dw) {
  in_pieces(begin, end, kGradientOutputs, [&](std::int64_t o, std::int64_t outputs) {
    in_pieces(0, s.in, kPair, [&](std::int64_t k, std::int64_t count) {
      kStoreOuters[static_cast<std::size_t>(outputs - 1)](
          {x + k, dy + o, dw + o * s.in + k, s.rows, two_vectors(count), s.in, s.out, {}});
    });
  });
}

void float_linear_step(const LinearShape& s, const float* x, const float* dy, float lr, float weight_decay,
                       std::int64_t begin, std::int64_t end, float* weight, float* dx) {
  in_pieces(0, s.out, kTogether, [&](std::int64_t first, std::int64_t together) {
    in_pieces(begin, end, kPair, [&](std::int64_t k, std::int64_t count) {
      const auto lanes = two_vectors(count);
      if (dx != nullptr) add_columns(s, dy, weight, first, together, k, lanes, dx);
      in_pieces(first, first + together, kGradientOutputs, [&](std::int64_t o, std::int64_t outputs) {
        kStepOuters[static_cast<std::size_t>(outputs - 1)](
            {x + k, dy + o, weight + o * s.in + k, s.rows, lanes, s.in, s.out, {lr, weight_decay}});
      });
    });
  });
}

}  // namespace rn::kernels
