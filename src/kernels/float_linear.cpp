#include "kernels/float_linear.h"

#include "kernels/cpu_features.h"

namespace rn::kernels {

bool float_linear_supports(const LinearShape& s) {
  constexpr std::int64_t kFewRows = 20;
  return s.rows > 0 && s.rows <= kFewRows && s.in > 0 && s.out > 0 && avx512_available();
}

}  // namespace rn::kernels
