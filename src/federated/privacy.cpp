#include "federated/privacy.h"

#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace rn::federated {
namespace {

// Of the noise on the count of updates that were left whole, over the cohort (Andrew et al. 2021,
// section 3.1).
constexpr double kCountShare = 1.0 / 20;

}  // namespace

void add_privacy_noise(std::span<float> values, std::span<const Slice> slices, double deviation,
                       std::uint64_t seed, std::int64_t round, std::int64_t client) {
  CounterRandom random(seed, Purpose::kPrivacyNoise, static_cast<std::uint64_t>(round),
                       static_cast<std::uint64_t>(client));
  for (const Slice& slice : slices) {
    for (float& value :
         values.subspan(static_cast<std::size_t>(slice.offset), static_cast<std::size_t>(slice.size))) {
      value += static_cast<float>(deviation * random.normal());
    }
  }
}

PrivacyAccount::PrivacyAccount(const FederatedOptions& options, std::int64_t wanted)
    : options_(options),
      enabled_(options.privacy != "none"),
      sampling_(options.sampling == "poisson" ? PrivacySampling::kPoisson
                                              : PrivacySampling::kWithoutReplacement),
      // A local client's update is seen by itself, whoever else takes part.
      rate_(options.privacy == "local" ? 1
                                       : static_cast<double>(wanted) / static_cast<double>(options.clients)),
      wanted_(static_cast<double>(wanted)),
      noise_multiplier_(options.noise_multiplier) {
  if (!enabled_ || options.target_epsilon == 0) return;
  noise_multiplier_ =
      noise_multiplier_for(sampling_, options.target_epsilon, options.delta, rate_, options.rounds);
}

double PrivacyAccount::count_deviation() const { return kCountShare * wanted_; }

// One round's two answers together cost what one with noise z would: z^-2 = z_sum^-2 + (2 sigma_b)^-2.
double PrivacyAccount::sum_noise_multiplier() const {
  if (!options_.adaptive_clip || noise_multiplier_ == 0) return noise_multiplier_;
  const double rest = std::pow(noise_multiplier_, -2) - std::pow(2 * count_deviation(), -2);
  if (rest <= 0) {
    throw ConfigError(cat("federated.adaptive_clip: the noise on the count of clipped updates, ",
                          count_deviation(), ", alone gives less privacy than federated.noise_multiplier ",
                          noise_multiplier_, "; use a larger cohort or less noise"));
  }
  return 1 / std::sqrt(rest);
}

double PrivacyAccount::epsilon(std::int64_t rounds) const {
  return epsilon_of(sampling_, {noise_multiplier_, rate_, rounds}, options_.delta);
}

double PrivacyAccount::next_clip(double clip, double below, double clients, std::uint64_t seed,
                                 std::int64_t round) const {
  if (!options_.adaptive_clip || clients == 0) return clip;
  // A stream of its own beside the sum's.
  CounterRandom random(seed, Purpose::kPrivacyNoise, static_cast<std::uint64_t>(round),
                       static_cast<std::uint64_t>(kServer - 1));
  const double noise = noise_multiplier_ > 0 ? count_deviation() * random.normal() : 0;
  const double share = (below + noise) / clients;
  return clip * std::exp(-options_.clip_lr * (share - options_.clip_quantile));
}

}  // namespace rn::federated
