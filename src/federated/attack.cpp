#include "federated/attack.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"
#include "federated/distributions.h"

namespace rn::federated {
namespace {

double root_mean_square(std::span<const float> update, std::span<const Slice> tensors) {
  double sum = 0;
  std::int64_t count = 0;
  for (const auto& tensor : tensors) {
    for (const float value :
         update.subspan(static_cast<std::size_t>(tensor.offset), static_cast<std::size_t>(tensor.size))) {
      sum += static_cast<double>(value) * static_cast<double>(value);
    }
    count += tensor.size;
  }
  return count > 0 ? std::sqrt(sum / static_cast<double>(count)) : 0.0;
}

}  // namespace

Attack attack_named(std::string_view name) {
  if (name == "none") return Attack::kNone;
  if (name == "label_flip") return Attack::kLabelFlip;
  if (name == "sign_flip") return Attack::kSignFlip;
  if (name == "scale") return Attack::kScale;
  if (name == "gaussian") return Attack::kGaussian;
  throw ConfigError(cat("federated.attack: unknown: ", name));
}

Attackers::Attackers(Attack attack, std::int64_t count, std::int64_t clients, double scale,
                     std::uint64_t seed)
    : attack_(attack), scale_(scale), seed_(seed) {
  if (attack_ == Attack::kNone) return;
  if (count < 0 || count > clients) {
    throw ConfigError(cat("federated.byzantine: ", count, " attackers of ", clients, " clients"));
  }
  CounterRandom random(seed, Purpose::kAttackers, 0, 0);
  attackers_ = draw_subset(random, clients, count);
}

bool Attackers::includes(std::int64_t client) const {
  return std::binary_search(attackers_.begin(), attackers_.end(), client);
}

void Attackers::apply(std::span<float> update, std::span<const Slice> tensors, std::int64_t round,
                      std::int64_t client) const {
  const bool changes =
      attack_ == Attack::kSignFlip || attack_ == Attack::kScale || attack_ == Attack::kGaussian;
  if (!changes || !includes(client)) return;
  CounterRandom random(seed_, Purpose::kAttackNoise, static_cast<std::uint64_t>(round),
                       static_cast<std::uint64_t>(client));
  const double deviation = attack_ == Attack::kGaussian ? scale_ * root_mean_square(update, tensors) : 0.0;
  const double factor = attack_ == Attack::kSignFlip ? -scale_ : scale_;
  for (const auto& tensor : tensors) {
    for (float& value :
         update.subspan(static_cast<std::size_t>(tensor.offset), static_cast<std::size_t>(tensor.size))) {
      value = static_cast<float>(attack_ == Attack::kGaussian ? deviation * random.normal()
                                                              : factor * static_cast<double>(value));
    }
  }
}

}  // namespace rn::federated
