// Hostile clients, to try robust aggregation with.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/flat_layout.h"

namespace rn::federated {

enum class Attack {
  kNone,
  kLabelFlip,  // trains on labels turned over: classes - 1 - label
  kSignFlip,   // sends -scale times its update
  kScale,      // sends scale times its update
  kGaussian,   // sends noise of mean 0 and standard deviation scale times its update's root mean square
};

// Throws ConfigError for an unknown name (none | label_flip | sign_flip | scale | gaussian).
Attack attack_named(std::string_view name);

// Immutable, so safe to use from any thread.
class Attackers {
 public:
  // `count` of the `clients`, drawn by the seed, attack in every round they are in. Throws ConfigError for
  // more attackers than clients.
  Attackers(Attack attack, std::int64_t count, std::int64_t clients, double scale, std::uint64_t seed);

  bool includes(std::int64_t client) const;
  bool flips_labels(std::int64_t client) const { return attack_ == Attack::kLabelFlip && includes(client); }
  const std::vector<std::int64_t>& clients() const { return attackers_; }  // ascending

  // Turns the update of an attacker into what it sends; that of anyone else stays as it is. `tensors`: the
  // slices that hold elements (padding stays as it is).
  void apply(std::span<float> update, std::span<const Slice> tensors, std::int64_t round,
             std::int64_t client) const;

 private:
  Attack attack_;
  double scale_;
  std::uint64_t seed_;
  std::vector<std::int64_t> attackers_;
};

// The label that a flipping attacker trains on.
inline std::uint8_t flipped_label(std::uint8_t label, int classes) {
  return static_cast<std::uint8_t>(classes - 1 - label);
}

}  // namespace rn::federated
