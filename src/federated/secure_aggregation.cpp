#include "federated/secure_aggregation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/random.h"

namespace rn::federated {
namespace {

constexpr std::uint32_t kGenerator = 2;  // of the field's multiplicative group
constexpr std::int64_t kKeyBytes = 32;

// What a mask is expanded for.
enum MaskKind : std::uint64_t { kOwnMask = 0, kPairMask = 1 };
// Which of a client's two secrets is shared.
enum Secret : int { kKey = 0, kOwnSeed = 1 };

std::uint32_t add(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>((std::uint64_t{a} + b) % kFieldPrime);
}
std::uint32_t negate(std::uint32_t a) { return a == 0 ? 0 : kFieldPrime - a; }
std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>(std::uint64_t{a} * b % kFieldPrime);
}
std::uint32_t power(std::uint32_t base, std::uint32_t exponent) {
  std::uint32_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}
std::uint32_t invert(std::uint32_t a) { return power(a, kFieldPrime - 2); }

// Adds the mask that a seed expands to, or takes it off.
void apply_mask(std::uint32_t seed, MaskKind kind, std::int64_t round, bool subtract,
                std::span<std::uint32_t> field) {
  CounterRandom random(seed, Purpose::kMask, static_cast<std::uint64_t>(round), kind);
  for (std::uint32_t& value : field) {
    const std::uint32_t mask = random.below(kFieldPrime);
    value = add(value, subtract ? kFieldPrime - mask : mask);
  }
}

// Weights by which the values of a polynomial at `points` give its value at 0 (Lagrange).
std::vector<std::uint32_t> weights_at_zero(std::span<const std::uint32_t> points) {
  std::vector<std::uint32_t> weights;
  for (const auto point : points) {
    std::uint32_t numerator = 1;
    std::uint32_t denominator = 1;
    for (const auto other : points) {
      if (other == point) continue;
      numerator = multiply(numerator, other);
      denominator = multiply(denominator, add(other, negate(point)));
    }
    weights.push_back(multiply(numerator, invert(denominator)));
  }
  return weights;
}

}  // namespace

FieldCodec::FieldCodec(double bound, std::int64_t summands) : bound_(bound) {
  RN_CHECK(bound > 0 && std::isfinite(bound) && summands > 0, bound, ", ", summands);
  constexpr double kFewestLevels = 128;
  // The sum's magnitude, in steps, stays below half the field; one step a value is for rounding.
  const double levels = std::floor((kFieldPrime - 1) / 2 / static_cast<double>(summands)) - 1;
  if (levels < kFewestLevels) {
    throw ConfigError(cat("federated.secure_aggregation: the field of 32 bits has no room for ", summands,
                          " clients in a round; take a smaller federated.cohort"));
  }
  resolution_ = std::exp2(std::ceil(std::log2(bound / levels)));
}

void FieldCodec::encode(std::span<const float> values, double weight, std::span<std::uint32_t> field) const {
  RN_CHECK(values.size() == field.size(), values.size(), " and ", field.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = std::clamp(weight * static_cast<double>(values[i]), -bound_, bound_);
    const std::int64_t steps = std::llround(value / resolution_);
    field[i] = static_cast<std::uint32_t>(steps >= 0 ? steps : steps + std::int64_t{kFieldPrime});
  }
}

void FieldCodec::decode(std::span<const std::uint32_t> field, std::span<double> values) const {
  RN_CHECK(values.size() == field.size(), values.size(), " and ", field.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t steps =
        field[i] <= kFieldPrime / 2 ? std::int64_t{field[i]} : std::int64_t{field[i]} - kFieldPrime;
    values[i] = static_cast<double>(steps) * resolution_;
  }
}

void add_in_field(std::span<std::uint32_t> sum, std::span<const std::uint32_t> values) {
  RN_CHECK(sum.size() == values.size(), sum.size(), " and ", values.size());
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = add(sum[i], values[i]);
}

SecureRound::SecureRound(std::uint64_t seed, std::int64_t round, std::vector<std::int64_t> clients,
                         std::int64_t threshold)
    : seed_(seed), round_(round), clients_(std::move(clients)), threshold_(threshold) {
  const auto count = static_cast<std::int64_t>(clients_.size());
  if (threshold_ == 0) threshold_ = std::max<std::int64_t>(1, (2 * count + 2) / 3);
  RN_CHECK(std::is_sorted(clients_.begin(), clients_.end()) && threshold_ >= 1 &&
               (threshold_ <= count || count == 0),
           count, " clients, threshold ", threshold_);
  for (const auto client : clients_) {
    CounterRandom random(seed_, Purpose::kMaskSeed, static_cast<std::uint64_t>(round_),
                         static_cast<std::uint64_t>(client));
    const ClientSecrets secrets = {1 + random.below(kFieldPrime - 2), random.below(kFieldPrime)};
    secrets_.push_back(secrets);
    public_keys_.push_back(power(kGenerator, secrets.key));
  }
}

std::size_t SecureRound::position_of(std::int64_t client) const {
  const auto found = std::lower_bound(clients_.begin(), clients_.end(), client);
  RN_CHECK(found != clients_.end() && *found == client, "client ", client, " is not of this round");
  return static_cast<std::size_t>(found - clients_.begin());
}

// The share that the client at point `at` holds of a secret of `owner`: the value there of the owner's
// polynomial of degree threshold - 1, whose value at 0 is the secret.
std::uint32_t SecureRound::share(std::size_t owner, int secret, std::uint32_t at) const {
  CounterRandom random(seed_, Purpose::kMaskShares,
                       static_cast<std::uint64_t>(round_) * 2 + static_cast<std::uint64_t>(secret),
                       static_cast<std::uint64_t>(clients_[owner]));
  std::uint32_t value = secret == kKey ? secrets_[owner].key : secrets_[owner].own_seed;
  std::uint32_t power_of_at = 1;
  for (std::int64_t degree = 1; degree < threshold_; ++degree) {
    power_of_at = multiply(power_of_at, at);
    value = add(value, multiply(random.below(kFieldPrime), power_of_at));
  }
  return value;
}

void SecureRound::mask(std::int64_t client, std::span<std::uint32_t> field) const {
  const std::size_t own = position_of(client);
  apply_mask(secrets_[own].own_seed, kOwnMask, round_, false, field);
  for (std::size_t other = 0; other < clients_.size(); ++other) {
    if (other == own) continue;
    apply_mask(power(public_keys_[other], secrets_[own].key), kPairMask, round_, other < own, field);
  }
}

void SecureRound::unmask(std::span<const std::int64_t> answered, std::span<std::uint32_t> sum) const {
  RN_CHECK(recoverable(static_cast<std::int64_t>(answered.size())), answered.size(), " answers of ",
           clients_.size(), ", ", threshold_, " needed");
  // The first `threshold` of those left hand out their shares.
  std::vector<std::uint32_t> points;
  std::vector<bool> is_left(clients_.size(), false);
  for (const auto client : answered) {
    const std::size_t position = position_of(client);
    RN_CHECK(!is_left[position], "client ", client, " answered twice");
    is_left[position] = true;
    if (static_cast<std::int64_t>(points.size()) < threshold_) {
      points.push_back(static_cast<std::uint32_t>(position) + 1);
    }
  }
  const auto weights = weights_at_zero(points);
  const auto recover = [&](std::size_t owner, int secret) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < points.size(); ++i) {
      value = add(value, multiply(weights[i], share(owner, secret, points[i])));
    }
    return value;
  };

  for (std::size_t client = 0; client < clients_.size(); ++client) {
    if (is_left[client]) {
      apply_mask(recover(client, kOwnSeed), kOwnMask, round_, true, sum);
      continue;
    }
    // The masks that the others shared with it are in the sum, its own half is not.
    const std::uint32_t key = recover(client, kKey);
    for (std::size_t other = 0; other < clients_.size(); ++other) {
      if (!is_left[other]) continue;
      apply_mask(power(public_keys_[other], key), kPairMask, round_, other < client, sum);
    }
  }
}

std::int64_t SecureRound::overhead_bytes_up() const {
  const auto others = static_cast<std::int64_t>(clients_.size()) - 1;
  return kKeyBytes * (2 + 2 * others + (others + 1));
}

std::int64_t SecureRound::overhead_bytes_down() const {
  const auto others = static_cast<std::int64_t>(clients_.size()) - 1;
  return kKeyBytes * (2 * others + 2 * others) + (others + 8) / 8;  // and who answered, a bit each
}

}  // namespace rn::federated
