// Stands in for the files *_amx.cpp in builds without AMX, where amx_bf16_available() is false.
#include "core/error.h"
#include "kernels/convolution.h"
#include "kernels/weight_gradient.h"

namespace rn::kernels {
namespace {

[[noreturn]] void refuse(const char* name) { throw InternalError(cat(name, ": this build has no AMX")); }

}  // namespace

void weight_gradient(const ConvolutionShape&, const BFloat16*, const BFloat16*, const WeightBlock&, float*) {
  refuse("weight_gradient");
}
void pack_weight(const ConvolutionShape&, const BFloat16*, std::int64_t, BFloat16*) { refuse("pack_weight"); }
void pack_weight_for_input_gradient(const ConvolutionShape&, const BFloat16*, std::int64_t, BFloat16*) {
  refuse("pack_weight_for_input_gradient");
}
void small_convolution(const ConvolutionShape&, const BFloat16*, const BFloat16*, const ConvolutionPart&,
                       BFloat16*) {
  refuse("small_convolution");
}

}  // namespace rn::kernels
