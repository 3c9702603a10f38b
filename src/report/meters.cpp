#include "report/meters.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace rn::report {

double percentile(std::vector<double> values, double percent) {
  RN_CHECK(percent >= 0 && percent <= 100, "percent ", percent);
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const double rank = percent / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(rank));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (rank - static_cast<double>(below));
}

double median(std::vector<double> values) { return percentile(std::move(values), 50); }

}  // namespace rn::report
