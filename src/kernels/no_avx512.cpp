// Stands in for the files float_*_avx512.cpp in builds without AVX-512, where avx512_available() is false.
#include "core/error.h"
#include "kernels/float_convolution.h"
#include "kernels/float_linear.h"
#include "kernels/float_winograd.h"
#include "kernels/pooled_gradient.h"
#include "kernels/relu_pool.h"

namespace rn::kernels {
namespace {

[[noreturn]] void refuse(const char* name) { throw InternalError(cat(name, ": this build has no AVX-512")); }

}  // namespace

void float_convolution(const ConvolutionShape&, const float*, const float*, const float*, FloatActivation,
                       std::int64_t, std::int64_t, float*, std::uint8_t*) {
  refuse("float_convolution");
}
void float_activation_gradient(const ConvolutionShape&, FloatActivation, const float*, const float*,
                               const std::uint8_t*, std::int64_t, std::int64_t, float*, float*) {
  refuse("float_activation_gradient");
}
void float_weight_gradient(const ConvolutionShape&, const float*, const float*, std::int64_t, std::int64_t,
                           float*) {
  refuse("float_weight_gradient");
}

void float_linear(const LinearShape&, const float*, const float*, const float*, std::int64_t, std::int64_t,
                  float*) {
  refuse("float_linear");
}
void float_linear_input_gradient(const LinearShape&, const float*, const float*, std::int64_t, std::int64_t,
                                 float*) {
  refuse("float_linear_input_gradient");
}
void float_linear_weight_gradient(const LinearShape&, const float*, const float*, std::int64_t, std::int64_t,
                                  float*) {
  refuse("float_linear_weight_gradient");
}
void float_linear_step(const LinearShape&, const float*, const float*, float, float, std::int64_t,
                       std::int64_t, float*, float*) {
  refuse("float_linear_step");
}

bool pooled_weight_gradient_pays(const ConvolutionShape&) { return false; }
bool pooled_input_gradient_pays(const ConvolutionShape&) { return false; }
void pooled_weight_gradient(const ConvolutionShape&, const float*, const float*, const std::uint8_t*,
                            std::int64_t, std::int64_t, float*) {
  refuse("pooled_weight_gradient");
}
void pooled_input_gradient(const ConvolutionShape&, const float*, const float*, const std::uint8_t*,
                           std::int64_t, std::int64_t, float*) {
  refuse("pooled_input_gradient");
}
void pooled_bias_gradient(const ConvolutionShape&, const float*, const std::uint8_t*, std::int64_t,
                          std::int64_t, float*) {
  refuse("pooled_bias_gradient");
}

void relu(const BFloat16*, std::int64_t, BFloat16*) { refuse("relu"); }
void relu_gradient(const BFloat16*, const BFloat16*, std::int64_t, BFloat16*) { refuse("relu_gradient"); }
void relu_pool(const PoolShape&, const BFloat16*, std::int64_t, std::int64_t, BFloat16*, std::uint8_t*) {
  refuse("relu_pool");
}
void relu_pool_gradient(const PoolShape&, const BFloat16*, const std::uint8_t*, std::int64_t, std::int64_t,
                        BFloat16*) {
  refuse("relu_pool_gradient");
}

std::int64_t winograd_packed_weight_size(const ConvolutionShape&) { refuse("winograd_packed_weight_size"); }
void winograd_pack_weight(const ConvolutionShape&, const float*, float*) { refuse("winograd_pack_weight"); }
void winograd_pack_weight_for_input_gradient(const ConvolutionShape&, const float*, float*) {
  refuse("winograd_pack_weight_for_input_gradient");
}

}  // namespace rn::kernels
