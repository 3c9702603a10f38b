// The loops of norm_kernels.h over an abstract vector of channels, instantiated per instruction set.
//
// A `Lanes` type has: Element, Accumulator, kWidth, Vector; load/store of kWidth elements (widened to and
// rounded from the accumulator), load_accumulator/store_accumulator, set, add, fma(a, b, c) = a * b + c, sub,
// max_zero, keep_positive(value, by) = value where by > 0, else 0.
#pragma once

#include <cstdint>

#include "kernels/norm_kernels.h"

namespace rn::kernels {

template <class Lanes>
struct NormLoops {
  using T = typename Lanes::Element;
  using A = typename Lanes::Accumulator;
  using V = typename Lanes::Vector;
  using Kernels = NormKernels<T>;
  using Mask = typename Kernels::Mask;

  // The sums of kUnroll vectors of channels stay in registers down all the rows.
  template <int kUnroll>
  static void moments(const T* x, std::int64_t rows, std::int64_t channels, A* mean, A* distances) {
    V shift[kUnroll], s[kUnroll], q[kUnroll];
    for (int u = 0; u < kUnroll; ++u) {
      shift[u] = Lanes::load(x + u * Lanes::kWidth);
      s[u] = q[u] = Lanes::set(0);
    }
    for (std::int64_t row = 1; row < rows; ++row) {
      for (int u = 0; u < kUnroll; ++u) {
        const V d = Lanes::sub(Lanes::load(x + row * channels + u * Lanes::kWidth), shift[u]);
        s[u] = Lanes::add(s[u], d);
        q[u] = Lanes::fma(d, d, q[u]);
      }
    }
    const V share = Lanes::set(1 / static_cast<A>(rows));
    for (int u = 0; u < kUnroll; ++u) {
      const V m = Lanes::fma(s[u], share, Lanes::set(0));  // about the first row
      Lanes::store_accumulator(mean + u * Lanes::kWidth, Lanes::add(shift[u], m));
      Lanes::store_accumulator(distances + u * Lanes::kWidth,
                               Lanes::sub(q[u], Lanes::fma(s[u], m, Lanes::set(0))));
    }
  }

  template <int kUnroll, bool kResidual, bool kRelu>
  static void forward(const T* x, const T* residual, std::int64_t rows, std::int64_t channels, const A* scale,
                      const A* offset, T* y) {
    V a[kUnroll], b[kUnroll];
    for (int u = 0; u < kUnroll; ++u) {
      a[u] = Lanes::load_accumulator(scale + u * Lanes::kWidth);
      b[u] = Lanes::load_accumulator(offset + u * Lanes::kWidth);
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t at = row * channels;
      for (int u = 0; u < kUnroll; ++u) {
        V value = Lanes::fma(Lanes::load(x + at + u * Lanes::kWidth), a[u], b[u]);
        if constexpr (kResidual) value = Lanes::add(value, Lanes::load(residual + at + u * Lanes::kWidth));
        if constexpr (kRelu) value = Lanes::max_zero(value);
        Lanes::store(y + at + u * Lanes::kWidth, value);
      }
    }
  }

  template <int kUnroll, typename Kernels::Mask kMask, bool kResidual>
  static void backward_sums(const typename Kernels::Reduce& in, std::int64_t offset, std::int64_t rows,
                            std::int64_t channels, A* sum, A* products) {
    V m[kUnroll], a[kUnroll], b[kUnroll], s[kUnroll], p[kUnroll];
    for (int u = 0; u < kUnroll; ++u) {
      const std::int64_t c = offset + u * Lanes::kWidth;
      m[u] = Lanes::load_accumulator(in.mean + c);
      if constexpr (kMask == Mask::kFromInput) {
        a[u] = Lanes::load_accumulator(in.scale + c);
        b[u] = Lanes::load_accumulator(in.offset + c);
      }
      s[u] = p[u] = Lanes::set(0);
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      for (int u = 0; u < kUnroll; ++u) {
        const std::int64_t at = row * channels + offset + u * Lanes::kWidth;
        V g = Lanes::load(in.dy + at);
        const V x = Lanes::load(in.x + at);
        if constexpr (kMask == Mask::kFromInput) g = Lanes::keep_positive(g, Lanes::fma(x, a[u], b[u]));
        if constexpr (kMask == Mask::kFromOutput) g = Lanes::keep_positive(g, Lanes::load(in.y + at));
        if constexpr (kResidual) Lanes::store(in.dresidual + at, g);
        s[u] = Lanes::add(s[u], g);
        p[u] = Lanes::fma(g, Lanes::sub(x, m[u]), p[u]);
      }
    }
    for (int u = 0; u < kUnroll; ++u) {
      Lanes::store_accumulator(sum + offset + u * Lanes::kWidth, s[u]);
      Lanes::store_accumulator(products + offset + u * Lanes::kWidth, p[u]);
    }
  }

  template <int kUnroll, typename Kernels::Mask kMask>
  static void backward_input(const typename Kernels::Apply& in, std::int64_t offset, std::int64_t rows,
                             std::int64_t channels) {
    V m[kUnroll], a[kUnroll], b[kUnroll], k[kUnroll], c0[kUnroll];
    for (int u = 0; u < kUnroll; ++u) {
      const std::int64_t c = offset + u * Lanes::kWidth;
      m[u] = Lanes::load_accumulator(in.mean + c);
      a[u] = Lanes::load_accumulator(in.scale + c);
      if constexpr (kMask == Mask::kFromInput) b[u] = Lanes::load_accumulator(in.offset + c);
      k[u] = Lanes::load_accumulator(in.slope + c);
      c0[u] = Lanes::load_accumulator(in.constant + c);
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      for (int u = 0; u < kUnroll; ++u) {
        const std::int64_t at = row * channels + offset + u * Lanes::kWidth;
        V g = Lanes::load(in.dy + at);
        const V x = Lanes::load(in.x + at);
        if constexpr (kMask == Mask::kFromInput) g = Lanes::keep_positive(g, Lanes::fma(x, a[u], b[u]));
        Lanes::store(in.dx + at, Lanes::fma(g, a[u], Lanes::fma(Lanes::sub(x, m[u]), k[u], c0[u])));
      }
    }
  }
};

// Runs `body.template operator()<Lanes, kUnroll>(first channel)` over all channels: four vectors at a time,
// then one, then single channels.
template <class Lanes, class Tail, class Body>
void for_channels(std::int64_t channels, const Body& body) {
  std::int64_t c = 0;
  for (; c + 4 * Lanes::kWidth <= channels; c += 4 * Lanes::kWidth) body.template operator()<Lanes, 4>(c);
  for (; c + Lanes::kWidth <= channels; c += Lanes::kWidth) body.template operator()<Lanes, 1>(c);
  for (; c < channels; ++c) body.template operator()<Tail, 1>(c);
}

// The entry points, for one vector type and the scalar one that finishes odd channel counts.
template <class Lanes, class Tail>
constexpr NormKernels<typename Lanes::Element> make_norm_kernels() {
  using T = typename Lanes::Element;
  using A = typename Lanes::Accumulator;
  using Kernels = NormKernels<T>;
  using Mask = typename Kernels::Mask;
  Kernels kernels{};
  kernels.moments = [](const T* x, std::int64_t rows, std::int64_t channels, A* mean, A* distances) {
    for_channels<Lanes, Tail>(channels, [&]<class L, int kUnroll>(std::int64_t c) {
      NormLoops<L>::template moments<kUnroll>(x + c, rows, channels, mean + c, distances + c);
    });
  };
  kernels.forward = [](const T* x, const T* residual, std::int64_t rows, std::int64_t channels,
                       const A* scale, const A* offset, bool relu, T* y) {
    for_channels<Lanes, Tail>(channels, [&]<class L, int kUnroll>(std::int64_t c) {
      using Loops = NormLoops<L>;
      const auto run = [&](auto loop) {
        loop(x + c, residual == nullptr ? nullptr : residual + c, rows, channels, scale + c, offset + c,
             y + c);
      };
      if (residual != nullptr) {
        relu ? run(Loops::template forward<kUnroll, true, true>)
             : run(Loops::template forward<kUnroll, true, false>);
      } else {
        relu ? run(Loops::template forward<kUnroll, false, true>)
             : run(Loops::template forward<kUnroll, false, false>);
      }
    });
  };
  kernels.backward_sums = [](const typename Kernels::Reduce& in, std::int64_t rows, std::int64_t channels,
                             A* sum, A* products) {
    for_channels<Lanes, Tail>(channels, [&]<class L, int kUnroll>(std::int64_t c) {
      using Loops = NormLoops<L>;
      const auto run = [&](auto loop) { loop(in, c, rows, channels, sum, products); };
      const bool residual = in.dresidual != nullptr;
      switch (in.mask) {
        case Mask::kNone:
          return residual ? run(Loops::template backward_sums<kUnroll, Mask::kNone, true>)
                          : run(Loops::template backward_sums<kUnroll, Mask::kNone, false>);
        case Mask::kFromInput:
          return residual ? run(Loops::template backward_sums<kUnroll, Mask::kFromInput, true>)
                          : run(Loops::template backward_sums<kUnroll, Mask::kFromInput, false>);
        case Mask::kFromOutput:
          return residual ? run(Loops::template backward_sums<kUnroll, Mask::kFromOutput, true>)
                          : run(Loops::template backward_sums<kUnroll, Mask::kFromOutput, false>);
      }
    });
  };
  kernels.backward_input = [](const typename Kernels::Apply& in, std::int64_t rows, std::int64_t channels) {
    for_channels<Lanes, Tail>(channels, [&]<class L, int kUnroll>(std::int64_t c) {
      using Loops = NormLoops<L>;
      in.mask == Mask::kFromInput
          ? Loops::template backward_input<kUnroll, Mask::kFromInput>(in, c, rows, channels)
          : Loops::template backward_input<kUnroll, Mask::kNone>(in, c, rows, channels);
    });
  };
  return kernels;
}

// One channel at a time. Every including file passes a type of its own (in an unnamed namespace) for `Isa`:
// the files are compiled for different CPUs, and instances of the same name would be merged by the linker.
template <class T, class Isa>
struct ScalarLanes {
  using Element = T;
  using Accumulator = NormAccumulator<T>;
  using Vector = Accumulator;
  static constexpr int kWidth = 1;
  static Vector load(const T* at) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      return to_float(*at);
    } else {
      return *at;
    }
  }
  static void store(T* at, Vector value) {
    if constexpr (std::is_same_v<T, BFloat16>) {
      *at = to_bfloat16(value);
    } else {
      *at = value;
    }
  }
  static Vector load_accumulator(const Accumulator* at) { return *at; }
  static void store_accumulator(Accumulator* at, Vector value) { *at = value; }
  static Vector set(Accumulator value) { return value; }
  static Vector add(Vector a, Vector b) { return a + b; }
  static Vector sub(Vector a, Vector b) { return a - b; }
  static Vector fma(Vector a, Vector b, Vector c) { return a * b + c; }
  // Both let a NaN through, as torch's relu and its backward do.
  static Vector max_zero(Vector value) { return value < 0 ? Vector(0) : value; }
  static Vector keep_positive(Vector value, Vector by) { return by <= 0 ? Vector(0) : value; }
};

}  // namespace rn::kernels
