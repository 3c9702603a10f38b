// Secure aggregation by pairwise masks (Bonawitz et al. 2017), simulated: the server learns the sum of the
// updates and nothing else of them.
//
// Updates are fixed-point numbers in the field of integers modulo p = 2^32 - 5. In a round every pair of
// clients u < v shares a seed; u adds the pair's mask, v subtracts it, and each adds a mask of its own. Each
// seed is split among the round's clients by Shamir's scheme with a threshold. The server adds what it
// receives, asks the clients that are left for shares of the own seeds of those that answered and of the pair
// seeds of those that did not, and takes these masks off: the sum over the answers, exactly, whatever their
// order.
//
// Simulated: one process plays all clients, the seeds come from the run's seed instead of a key agreement,
// and shares travel without encryption. Real: encoding, masks, Shamir's shares and their reconstruction, the
// threshold, and the sums.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rn::federated {

constexpr std::uint32_t kFieldPrime = 4294967291U;  // 2^32 - 5

// Fixed-point numbers in the field.
class FieldCodec {
 public:
  // Sums of up to `summands` values of magnitude up to `bound` stay decodable; the resolution is the finest
  // power of two for which that holds. Throws ConfigError where bound or summands leave fewer than 8 bits.
  FieldCodec(double bound, std::int64_t summands);

  // Values beyond the bound are cut to it. REQUIRES: finite values, equal sizes.
  void encode(std::span<const float> values, std::span<std::uint32_t> field) const;
  // The (signed) sum as a real number, exact. REQUIRES: equal sizes.
  void decode(std::span<const std::uint32_t> field, std::span<float> values) const;

  double resolution() const { return resolution_; }
  double bound() const { return bound_; }

 private:
  double bound_;
  double resolution_;
};

// sum = (sum + values) mod p, element by element: how masked updates are added up, in any order.
void add_in_field(std::span<std::uint32_t> sum, std::span<const std::uint32_t> values);

// The masks of one round. Immutable, so safe to use from any thread.
class SecureRound {
 public:
  // `clients`: all that were asked, ascending. `threshold`: answers needed to recover the sum; 0: two thirds
  // of the clients, rounded up.
  SecureRound(std::uint64_t seed, std::int64_t round, std::vector<std::int64_t> clients,
              std::int64_t threshold = 0);

  std::int64_t threshold() const { return threshold_; }

  // Adds the client's masks to its encoded update: what it sends.
  void mask(std::int64_t client, std::span<std::uint32_t> field) const;

  // Takes the masks off the sum of the masked updates of `answered` (ascending). Throws InternalError for
  // fewer answers than the threshold: callers check recoverable() first.
  void unmask(std::span<const std::int64_t> answered, std::span<std::uint32_t> sum) const;

  bool recoverable(std::int64_t answers) const { return answers >= threshold_; }

  // Bytes that the protocol adds to a client's traffic besides its masked update: shares sent and received.
  std::int64_t overhead_bytes() const;

 private:
  std::uint64_t seed_;
  std::int64_t round_;
  std::vector<std::int64_t> clients_;
  std::int64_t threshold_;
};

}  // namespace rn::federated
