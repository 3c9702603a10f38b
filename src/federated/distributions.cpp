#include "federated/distributions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>
#include <utility>

#include "core/error.h"

namespace rn::federated {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// Uniform in (0, 1]: its logarithm is finite.
double positive_uniform(CounterRandom& random) { return 1.0 - random.uniform(); }

// From logarithms of gamma draws to shares; the largest is taken out first, so nothing overflows and the sum
// is never zero.
void normalize_logs(std::span<double> shares) {
  const double largest = *std::max_element(shares.begin(), shares.end());
  double sum = 0;
  for (double& share : shares) {
    share = std::exp(share - largest);
    sum += share;
  }
  for (double& share : shares) share /= sum;
}

}  // namespace

double log_gamma_draw(CounterRandom& random, double shape) {
  RN_CHECK(shape > 0 && std::isfinite(shape), "shape = ", shape);
  // A draw for shape < 1 is one for shape + 1 times U^(1 / shape).
  const double boost = shape < 1 ? std::log(positive_uniform(random)) / shape : 0.0;
  const double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = random.normal();
    const double root = 1.0 + c * x;
    if (root <= 0) continue;
    const double log_v = 3.0 * std::log(root);
    const double v = root * root * root;
    if (std::log(positive_uniform(random)) < 0.5 * x * x + d - d * v + d * log_v) {
      return std::log(d) + log_v + boost;
    }
  }
}

void dirichlet_draw(CounterRandom& random, double alpha, std::span<double> shares) {
  RN_CHECK(!shares.empty(), "no shares");
  for (double& share : shares) share = log_gamma_draw(random, alpha);
  normalize_logs(shares);
}

void dirichlet_draw(CounterRandom& random, std::span<const double> concentration, std::span<double> shares) {
  RN_CHECK(concentration.size() == shares.size(), concentration.size(), " and ", shares.size());
  RN_CHECK(std::any_of(concentration.begin(), concentration.end(), [](double each) { return each > 0; }),
           "no concentration above zero");
  for (std::size_t i = 0; i < shares.size(); ++i) {
    shares[i] = concentration[i] > 0 ? log_gamma_draw(random, concentration[i]) : kMinusInfinity;
  }
  normalize_logs(shares);
}

void shuffle(CounterRandom& random, std::span<std::uint32_t> values) {
  RN_CHECK(values.size() <= UINT32_MAX, values.size(), " values");
  for (std::size_t left = values.size(); left > 1; --left) {
    std::swap(values[left - 1], values[random.below(static_cast<std::uint32_t>(left))]);
  }
}

std::vector<std::int64_t> draw_subset(CounterRandom& random, std::int64_t n, std::int64_t count) {
  RN_CHECK(0 <= count && count <= n && n <= std::int64_t{UINT32_MAX}, count, " of ", n);
  std::unordered_set<std::int64_t> chosen;
  for (std::int64_t top = n - count; top < n; ++top) {
    const std::int64_t drawn = random.below(static_cast<std::uint32_t>(top + 1));
    if (!chosen.insert(drawn).second) chosen.insert(top);
  }
  std::vector<std::int64_t> subset(chosen.begin(), chosen.end());
  std::sort(subset.begin(), subset.end());
  return subset;
}

}  // namespace rn::federated
