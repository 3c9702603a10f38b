// Products of a few rows with a large float32 weight, with AVX-512: a linear layer of a small batch, and its
// gradients.
//
//   y[n][o] = bias[o] + sum over k of x[n][k] * weight[o][k]
//
// With few rows the weight is read once for little arithmetic, so what counts is that it streams through the
// registers: a block of sums is held there (Note [Sums in registers] of float_convolution.h), while x or dy,
// which are small, come from the cache.
//
// All matrices are dense, row by row. Every sum is taken in one order, however the work is cut among threads.
// REQUIRES everywhere: float_linear_supports().
#pragma once

#include <cstdint>

namespace rn::kernels {

struct LinearShape {
  std::int64_t rows;
  std::int64_t in;   // columns of x and of the weight
  std::int64_t out;  // columns of y, rows of the weight
};

// Whether this CPU can, and the rows are few enough that a blocked matrix product is not the faster way.
bool float_linear_supports(const LinearShape& shape);

// Writes columns [begin, end) of y [rows][out]. `bias`: [out], or null.
void float_linear(const LinearShape& shape, const float* x, const float* weight, const float* bias,
                  std::int64_t begin, std::int64_t end, float* y);

// Writes columns [begin, end) of dx [rows][in] from dy [rows][out].
void float_linear_input_gradient(const LinearShape& shape, const float* dy, const float* weight,
                                 std::int64_t begin, std::int64_t end, float* dx);

// Writes rows [begin, end) of dw [out][in].
void float_linear_weight_gradient(const LinearShape& shape, const float* x, const float* dy,
                                  std::int64_t begin, std::int64_t end, float* dw);

// A step of plain SGD with both gradients of a backward pass, reading the weight once and keeping dw in
// registers: dx as above from the weight as it is, unless null, and then
//
//   weight -= lr * (dw + weight_decay * weight)
//
// for columns [begin, end) of both.
void float_linear_step(const LinearShape& shape, const float* x, const float* dy, float lr,
                       float weight_decay, std::int64_t begin, std::int64_t end, float* weight, float* dx);

}  // namespace rn::kernels
