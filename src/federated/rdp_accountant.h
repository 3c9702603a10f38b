// What a run with client-level differential privacy has spent: Rényi accounting of the subsampled Gaussian
// mechanism, as Google's dp-accounting does it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace rn::federated {

// How a round's clients are drawn, which decides what may be claimed.
enum class PrivacySampling {
  // Each client by itself with probability q (Mironov, Talwar and Zhang 2019). Neighbours differ by one
  // client added or removed; sensitivity = clip.
  kPoisson,
  // A fixed number without replacement (Wang, Balle and Kasiviswanathan 2019, theorem 27). Neighbours differ
  // by one client replaced; sensitivity = 2 * clip.
  kWithoutReplacement,
};

std::string_view name_of(PrivacySampling sampling);  // "Poisson sampling, ..." for reports

// One mechanism, repeated.
struct PrivateRounds {
  double noise_multiplier = 0;  // standard deviation of the noise on the clients' sum, over the clip
  double rate = 0;              // q: expected cohort / clients, in [0, 1]
  std::int64_t rounds = 0;
};

// Adds up rounds and converts to (epsilon, delta). Not thread-safe.
class RdpAccountant {
 public:
  explicit RdpAccountant(PrivacySampling sampling);

  // REQUIRES: noise_multiplier >= 0, 0 <= rate <= 1, rounds >= 0.
  void add(const PrivateRounds& rounds);

  // The smallest epsilon over the Rényi orders (Canonne, Kamath and Steinke 2020, proposition 12). Infinite
  // without noise. REQUIRES: 0 < delta < 1.
  double epsilon(double delta) const;

  PrivacySampling sampling() const { return sampling_; }

 private:
  PrivacySampling sampling_;
  std::vector<double> spent_;  // Rényi divergence at each order
};

// epsilon() of these rounds alone.
double epsilon_of(PrivacySampling sampling, const PrivateRounds& rounds, double delta);

// The least noise multiplier, up to 0.01 % above it and never below, for which `rounds` rounds at `rate`
// spend at most `target_epsilon`. Throws ConfigError where none up to 10^6 does. REQUIRES: target_epsilon >
// 0, 0 < delta < 1.
double noise_multiplier_for(PrivacySampling sampling, double target_epsilon, double delta, double rate,
                            std::int64_t rounds);

}  // namespace rn::federated
