// Batch norm, the residual sum and the relu after it as single passes over channels-last activations.
//
// A [N, C, H, W] activation in channels-last is a matrix of N*H*W rows of C values. Each function below works
// through some rows on the calling thread; the caller shares blocks of kNormBlockRows rows among threads and
// adds the blocks' sums in their order, so the result does not depend on the number of threads.
//
//   y = act(scale * x + offset [+ residual])     scale = weight / std, offset = bias - mean * scale
//   dy' = dy where act passes it, else 0         also the gradient of the residual
//   dx = scale * dy' + slope * (x - mean) + constant
//
// where slope = -scale * mean(dy' (x - mean)) / (var + epsilon) and constant = -scale * mean(dy') (Ioffe and
// Szegedy 2015). A relu without residual is recomputed in the backward pass from x, with one it is read off
// y.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/bfloat16.h"

namespace rn::kernels {

inline constexpr std::int64_t kNormBlockRows = 256;

// What per-channel numbers and sums are kept in.
template <class T>
using NormAccumulator = std::conditional_t<std::is_same_v<T, double>, double, float>;

// All arrays are dense and do not overlap; `x`, `y`, `residual`, `dy`, `dx` hold rows * channels values, the
// others one value per channel. T: BFloat16, float or double.
template <class T>
struct NormKernels {
  using A = NormAccumulator<T>;

  // Of these rows, at least one: their mean, and the sum of the squared distances from it. The sums are taken
  // about the first row, so that a mean far from zero costs nothing; the distances may come out a rounding
  // below zero.
  void (*moments)(const T* x, std::int64_t rows, std::int64_t channels, A* mean, A* distances);

  // `residual` may be null.
  void (*forward)(const T* x, const T* residual, std::int64_t rows, std::int64_t channels, const A* scale,
                  const A* offset, bool relu, T* y);

  // How the relu is undone: not at all, from scale * x + offset, or from the sign of y.
  enum class Mask { kNone, kFromInput, kFromOutput };

  // sum := sum of dy', products := sum of dy' (x - mean). Where dresidual is not null, writes dy' there. `y`
  // is read with kFromOutput only, scale and offset with kFromInput only.
  struct Reduce {
    const T* dy;
    const T* x;
    const T* y;
    const A* mean;
    const A* scale;
    const A* offset;
    Mask mask;
    T* dresidual;
  };
  void (*backward_sums)(const Reduce& in, std::int64_t rows, std::int64_t channels, A* sum, A* products);

  // dx as above. Mask kNone (dy is dy' already) or kFromInput.
  struct Apply {
    const T* dy;
    const T* x;
    const A* mean;
    const A* scale;
    const A* offset;
    const A* slope;
    const A* constant;
    Mask mask;
    T* dx;
  };
  void (*backward_input)(const Apply& in, std::int64_t rows, std::int64_t channels);
};

// Portable; for BFloat16, float and double.
template <class T>
const NormKernels<T>& plain_norm_kernels();

// With AVX-512 and its bf16 instructions; null where this CPU or build has none.
template <class T>
const NormKernels<T>* avx512_norm_kernels();
template <>
const NormKernels<BFloat16>* avx512_norm_kernels();
template <>
const NormKernels<float>* avx512_norm_kernels();

}  // namespace rn::kernels
