#include "federated/rdp_accountant.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "core/error.h"

namespace rn::federated {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Those of dp-accounting, so that both give the same epsilon.
const std::vector<double>& orders() {
  static const std::vector<double> all = [] {
    std::vector<double> list;
    for (int tenths = 11; tenths < 110; ++tenths) list.push_back(tenths / 10.0);
    for (int order = 11; order < 64; ++order) list.push_back(order);
    for (const int order : {128, 256, 512, 1024}) list.push_back(order);
    return list;
  }();
  return all;
}

// Sums run in logarithms: the terms reach far beyond a double's range.
double log_add(double a, double b) {
  const double low = std::min(a, b);
  const double high = std::max(a, b);
  return low == -kInfinity ? high : high + std::log1p(std::exp(low - high));
}

// log |binomial(n, k)| for real n and integer k; lgamma gives the magnitude where n - k < 0.
double log_binomial(double n, double k) {
  return std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1);
}

double log_erfc(double x) {
  if (x < 25) return std::log(std::erfc(x));
  const double inverse = 1 / (x * x);  // beyond erfc's range: its asymptotic series
  return -x * x - std::log(x) - 0.5 * std::log(std::numbers::pi) +
         std::log1p(-0.5 * inverse + 0.75 * inverse * inverse);
}

bool is_whole(double order) { return order == std::floor(order); }

// log E[(density ratio)^order] of the Poisson-subsampled Gaussian, for a whole order: a binomial sum.
double log_moment_whole(double q, double sigma, double order) {
  double total = -kInfinity;
  for (double i = 0; i <= order; ++i) {
    total = log_add(total, log_binomial(order, i) + i * std::log(q) + (order - i) * std::log1p(-q) +
                               (i * i - i) / (2 * sigma * sigma));
  }
  return total;
}

// The same for any order: two infinite series, one for each side of the point z where the two densities of
// the mixture are equal (Mironov, Talwar and Zhang 2019, section 3.3). Their terms alternate in sign beyond
// i > order; leaving the signs out gives an upper bound, and changes nothing that can be seen.
double log_moment(double q, double sigma, double order) {
  constexpr int kMostTerms = 1000;
  constexpr double kNegligible = 30;  // e^-30 of the sum
  const double z = sigma * sigma * std::log(1 / q - 1) + 0.5;
  double total = -kInfinity;
  double last_below = -kInfinity;
  double last_above = -kInfinity;
  for (int term = 0; term < kMostTerms; ++term) {
    const double i = term;
    const double j = order - i;
    const double coefficient = log_binomial(order, i) + std::log(0.5);
    const double below = coefficient + i * std::log(q) + j * std::log1p(-q) +
                         (i * i - i) / (2 * sigma * sigma) +
                         log_erfc((i - z) / (std::numbers::sqrt2 * sigma));
    const double above = coefficient + j * std::log(q) + i * std::log1p(-q) +
                         (j * j - j) / (2 * sigma * sigma) +
                         log_erfc((z - j) / (std::numbers::sqrt2 * sigma));
    total = log_add(total, log_add(below, above));
    if (below < last_below && above < last_above && std::max(below, above) < total - kNegligible)
      return total;
    last_below = below;
    last_above = above;
  }
  return kInfinity;  // did not converge: this order says nothing
}

double poisson_divergence(double q, double sigma, double order) {
  const double moment = is_whole(order) ? log_moment_whole(q, sigma, order) : log_moment(q, sigma, order);
  return moment / (order - 1);
}

// A real number as sign and logarithm.
struct SignedLog {
  double log = -kInfinity;
  bool negative = false;
};

SignedLog minus(SignedLog a, SignedLog b) {
  if (a.negative != b.negative) return {log_add(a.log, b.log), a.negative};
  if (a.log == b.log) return {};
  const bool a_larger = a.log > b.log;
  const double high = std::max(a.log, b.log);
  const double low = std::min(a.log, b.log);
  return {high + std::log1p(-std::exp(low - high)), a_larger == a.negative};
}

// Log magnitudes of the forward differences, of order 0 to `most`, of exp(cumulant) at 0, where
// cumulant(x) = x (x + 1) / (2 sigma^2) is the Gaussian's.
std::vector<double> log_differences(double sigma, int most) {
  std::vector<SignedLog> values(static_cast<std::size_t>(most) + 1);
  for (std::size_t x = 0; x < values.size(); ++x) {
    const auto at = static_cast<double>(x) - 1;  // theorem 27 counts its moments from -1
    values[x].log = at * (at + 1) / (2 * sigma * sigma);
  }
  std::vector<double> differences(values.size());
  for (std::size_t order = 0; order < values.size(); ++order) {
    differences[order] = values.front().log;
    for (std::size_t x = 0; x + order + 1 < values.size(); ++x) values[x] = minus(values[x + 1], values[x]);
  }
  return differences;
}

// The bound of theorem 27 for a whole order, as log E, not yet divided by order - 1. The sharper form by
// differences costs order^2 and is of use for small orders only.
double without_replacement_moment(double q, double sigma, int order) {
  constexpr int kSharpOrders = 256;
  if (order <= 1) return 0;
  const double variance = sigma * sigma;
  const double second =
      std::min(std::log(4) + std::log(std::expm1(1 / variance)), std::log(2) + 1 / variance);
  double total = log_add(0, 2 * std::log(q) + log_binomial(order, 2) + second);
  const bool sharp = order <= kSharpOrders;
  const auto differences = sharp ? log_differences(sigma, 2 * ((order + 1) / 2)) : std::vector<double>{};
  for (int i = 3; i <= order; ++i) {
    double bound = std::log(2) + static_cast<double>(i) * (i - 1) / (2 * variance);
    if (sharp) {
      const double low = differences[static_cast<std::size_t>(2 * (i / 2))];
      const double high = differences[static_cast<std::size_t>(2 * ((i + 1) / 2))];
      bound = std::min(bound, std::log(4) + 0.5 * (low + high));
    }
    total = log_add(total, i * std::log(q) + log_binomial(order, i) + bound);
  }
  return total;
}

// Between whole orders the cumulant is convex: the chord is above it (corollary 10).
double without_replacement_divergence(double q, double sigma, double order) {
  const int below = static_cast<int>(std::floor(order));
  const double low = without_replacement_moment(q, sigma, below);
  const double part = order - below;
  const double high = part > 0 ? without_replacement_moment(q, sigma, below + 1) : 0;
  return ((1 - part) * low + part * high) / (order - 1);
}

double divergence(PrivacySampling sampling, double q, double sigma, double order) {
  if (q == 0) return 0;
  if (sigma == 0) return kInfinity;
  if (q == 1) return order / (2 * sigma * sigma);
  return sampling == PrivacySampling::kPoisson ? poisson_divergence(q, sigma, order)
                                               : without_replacement_divergence(q, sigma, order);
}

}  // namespace

std::string_view name_of(PrivacySampling sampling) {
  return sampling == PrivacySampling::kPoisson
             ? "Poisson sampling, neighbours differ by one client added or removed"
             : "fixed-size sampling without replacement, neighbours differ by one client replaced";
}

RdpAccountant::RdpAccountant(PrivacySampling sampling) : sampling_(sampling), spent_(orders().size(), 0.0) {}

void RdpAccountant::add(const PrivateRounds& rounds) {
  RN_CHECK(rounds.noise_multiplier >= 0 && rounds.rate >= 0 && rounds.rate <= 1 && rounds.rounds >= 0,
           rounds.noise_multiplier, ", ", rounds.rate, ", ", rounds.rounds);
  if (rounds.rounds == 0) return;
  const double sensitivity = sampling_ == PrivacySampling::kPoisson ? 1 : 2;  // in clips
  const double sigma = rounds.noise_multiplier / sensitivity;
  for (std::size_t i = 0; i < spent_.size(); ++i) {
    spent_[i] += static_cast<double>(rounds.rounds) * divergence(sampling_, rounds.rate, sigma, orders()[i]);
  }
}

double RdpAccountant::epsilon(double delta) const {
  RN_CHECK(delta > 0 && delta < 1, "delta = ", delta);
  double best = kInfinity;
  for (std::size_t i = 0; i < spent_.size(); ++i) {
    const double order = orders()[i];
    // Where even the Kullback-Leibler divergence bounds the total variation by delta, nothing is spent.
    if (delta * delta + std::expm1(-spent_[i]) > 0) return 0;
    best = std::min(best, spent_[i] + std::log1p(-1 / order) - std::log(delta * order) / (order - 1));
  }
  return std::max(0.0, best);
}

double epsilon_of(PrivacySampling sampling, const PrivateRounds& rounds, double delta) {
  RdpAccountant accountant(sampling);
  accountant.add(rounds);
  return accountant.epsilon(delta);
}

double noise_multiplier_for(PrivacySampling sampling, double target_epsilon, double delta, double rate,
                            std::int64_t rounds) {
  constexpr double kMost = 1e6;
  constexpr double kTolerance = 1e-4;
  RN_CHECK(target_epsilon > 0, "target_epsilon = ", target_epsilon);
  const auto enough = [&](double noise) {
    return epsilon_of(sampling, {noise, rate, rounds}, delta) <= target_epsilon;
  };
  double low = 1e-2;  // less is no privacy at all, and no run wants it
  if (enough(low)) return low;
  double high = 2 * low;
  while (!enough(high)) {
    if (high > kMost) {
      throw ConfigError(cat("federated.target_epsilon: ", target_epsilon, " at delta ", delta, " over ",
                            rounds, " rounds needs a noise multiplier above ", kMost));
    }
    low = std::exchange(high, 2 * high);
  }
  while (high / low > 1 + kTolerance) {
    const double middle = std::sqrt(low * high);
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace rn::federated
