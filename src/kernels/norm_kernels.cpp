#include "kernels/norm_kernels.h"

#include "kernels/norm_loops.h"

namespace rn::kernels {
namespace {

struct Plain;

template <class T>
using Lanes = ScalarLanes<T, Plain>;

}  // namespace

template <class T>
const NormKernels<T>& plain_norm_kernels() {
  static const NormKernels<T> kernels = make_norm_kernels<Lanes<T>, Lanes<T>>();
  return kernels;
}

template const NormKernels<BFloat16>& plain_norm_kernels();
template const NormKernels<float>& plain_norm_kernels();
template const NormKernels<double>& plain_norm_kernels();

}  // namespace rn::kernels
