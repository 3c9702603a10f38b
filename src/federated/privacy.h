// Client-level differential privacy (McMahan et al. 2018): clipped updates, Gaussian noise, and a bound that
// may follow the updates.
//
//   central  x += (sum of clip(d_i, C) + N(0, (z C)^2)) / m, m the cohort that was wanted
//   local    every client adds N(0, (z C)^2) to its own clipped update
//
// z is federated.noise_multiplier. The noise is drawn by the run's seed, so that runs repeat: a simulation of
// what a deployment would learn, not a source of secrets.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/flat_layout.h"
#include "federated/options.h"
#include "federated/rdp_accountant.h"

namespace rn::federated {

// The server, where noise is drawn for a client.
inline constexpr std::int64_t kServer = -1;

// Adds N(0, deviation^2) to what of `values` lies in `slices`.
void add_privacy_noise(std::span<float> values, std::span<const Slice> slices, double deviation,
                       std::uint64_t seed, std::int64_t round, std::int64_t client);

// What a run's privacy comes to, for reports. Immutable.
class PrivacyAccount {
 public:
  // `wanted`: clients of a round. Throws ConfigError where no noise reaches federated.target_epsilon.
  PrivacyAccount(const FederatedOptions& options, std::int64_t wanted);

  bool enabled() const { return enabled_; }
  double noise_multiplier() const { return noise_multiplier_; }  // given, or what the target needs
  // Of the noise on the sum, where the bound follows: part of the budget goes to the count of clipped
  // updates.
  double sum_noise_multiplier() const;
  // Spent after so many rounds; infinite without noise.
  double epsilon(std::int64_t rounds) const;
  PrivacySampling sampling() const { return sampling_; }

  // The next bound after a round in which `below` of `clients` updates were left whole (Andrew et al. 2021):
  // clip * exp(-clip_lr * (noisy share - clip_quantile)).
  double next_clip(double clip, double below, double clients, std::uint64_t seed, std::int64_t round) const;

 private:
  double count_deviation() const;  // of the noise on `below`

  FederatedOptions options_;
  bool enabled_ = false;
  PrivacySampling sampling_ = PrivacySampling::kPoisson;
  double rate_ = 1;
  double wanted_ = 0;
  double noise_multiplier_ = 0;
};

}  // namespace rn::federated
