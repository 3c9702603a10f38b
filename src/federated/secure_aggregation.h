// Secure aggregation by pairwise masks (Bonawitz et al. 2017), simulated: the server learns the sum of the
// updates and nothing else of them.
//
// Updates are fixed-point numbers in the field of integers modulo p = 2^32 - 5. In a round every client draws
// a key and an own seed, and splits both among all clients of the round by Shamir's scheme. Every pair u < v
// agrees on a seed by Diffie and Hellman's exchange; u adds the mask that it expands to, v subtracts it, and
// each adds the mask of its own seed. The server adds what it receives, and asks the clients that are left
// for shares: of the own seed of those that answered, of the key of those that did not. With these it takes
// off the masks that have not cancelled: what is left is the sum over the answers, exactly, in any order.
//
// Simulated: one process plays all clients, and their keys come from the run's seed; keys and seeds have the
// 32 bits of the field, which keep no secret; shares travel without encryption. Real: encoding, key exchange,
// masks, shares and their interpolation, the threshold, the sums. The cost is the protocol's: a client
// expands a mask per other client of the round.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rn::federated {

constexpr std::uint32_t kFieldPrime = 4294967291U;  // 2^32 - 5

// Fixed-point numbers in the field.
class FieldCodec {
 public:
  // Sums of up to `summands` values of magnitude up to `bound` can be decoded; the resolution is the finest
  // power of two for which that holds. Throws ConfigError where fewer than 8 bits are left for a value.
  // REQUIRES: bound > 0, summands > 0.
  FieldCodec(double bound, std::int64_t summands);

  // field[i] = weight * values[i], cut to the bound. REQUIRES: finite values, equal sizes.
  void encode(std::span<const float> values, double weight, std::span<std::uint32_t> field) const;
  // The sum as signed real numbers, exact. REQUIRES: equal sizes.
  void decode(std::span<const std::uint32_t> field, std::span<double> values) const;

  double resolution() const { return resolution_; }
  double bound() const { return bound_; }

 private:
  double bound_;
  double resolution_;
};

// sum = (sum + values) mod p, element by element: how masked updates are added up, in any order.
void add_in_field(std::span<std::uint32_t> sum, std::span<const std::uint32_t> values);

// The keys, seeds and masks of one round. Immutable, so safe to use from any thread.
class SecureRound {
 public:
  // `clients`: all that were asked, ascending. `threshold`: answers needed to recover the sum, at least 1 and
  // at most the clients; 0: two thirds of the clients, rounded up.
  SecureRound(std::uint64_t seed, std::int64_t round, std::vector<std::int64_t> clients,
              std::int64_t threshold = 0);

  std::int64_t threshold() const { return threshold_; }
  bool recoverable(std::int64_t answers) const { return answers >= threshold_; }

  // Adds the client's masks to its encoded update: what it sends.
  void mask(std::int64_t client, std::span<std::uint32_t> field) const;

  // Takes the masks off the sum of the masked updates of `answered` (ascending). REQUIRES:
  // recoverable(answered.size()).
  void unmask(std::span<const std::int64_t> answered, std::span<std::uint32_t> sum) const;

  // What the protocol adds to one client's traffic besides its masked update, for keys and shares of 32 bytes
  // as in the paper: two public keys, and per other client two shares on their way out, two in, and one at
  // the end.
  std::int64_t overhead_bytes_up() const;
  std::int64_t overhead_bytes_down() const;

 private:
  struct ClientSecrets {
    std::uint32_t key = 0;
    std::uint32_t own_seed = 0;
  };

  std::size_t position_of(std::int64_t client) const;
  std::uint32_t share(std::size_t owner, int secret, std::uint32_t at) const;

  std::uint64_t seed_;
  std::int64_t round_;
  std::vector<std::int64_t> clients_;
  std::int64_t threshold_;
  std::vector<ClientSecrets> secrets_;      // of each client
  std::vector<std::uint32_t> public_keys_;  // known to all
};

}  // namespace rn::federated
