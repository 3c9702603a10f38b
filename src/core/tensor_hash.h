// A fast 64-bit hash over bytes, for checkpoint files, the replica check, data content and layout
// fingerprints.
//
// Definition, all arithmetic modulo 2^64. The n bytes, padded with zeros to a multiple of 8, are
// little-endian words w[0], w[1], ...
//
//   mix(x)  = y ^ (y >> 29)  where  y = (z ^ (z >> 32)) * 0xBF58476D1CE4E5B9,  z = x * 0x94D049BB133111EB
//   sum     = mix(w[0] + 1*G) + mix(w[1] + 2*G) + ...   where  G = 0x9E3779B97F4A7C15
//   hash    = mix(sum + mix(n + K))                     where  K = 0xD1B54A32D192ED03
//
// Every term depends on one word and its position only, so the sum may be taken in any order and by any
// number of threads, or on a GPU with the same result. mix is a bijection: a change confined to one aligned
// word (any single flipped bit, for instance) always changes the hash, any other with probability 1 - 2^-64.
// It finds accidents; it is no signature, since who wants a collision can make one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace rn {

// The hash of `bytes`. Several GB/s on one thread.
std::uint64_t tensor_hash(std::span<const std::byte> bytes);

// The parts of the definition, for who computes it in pieces: the terms of `bytes` as words first_word,
// first_word + 1, ... (only the last piece may have a size that is no multiple of 8), and the end.
std::uint64_t tensor_hash_sum(std::span<const std::byte> bytes, std::uint64_t first_word);
std::uint64_t tensor_hash_finish(std::uint64_t sum, std::uint64_t size_in_bytes);

// 16 lower-case hexadecimal digits, as hashes are written in manifests.
std::string hash_to_hex(std::uint64_t hash);

// The same hash of a stream: update() with pieces of any size gives what one call over all bytes gives.
class TensorHasher {
 public:
  void update(std::span<const std::byte> bytes);
  std::uint64_t finish() const;                 // of what came so far; more may follow
  std::uint64_t size() const { return size_; }  // bytes so far

 private:
  std::uint64_t sum_ = 0;  // of the whole words so far
  std::uint64_t size_ = 0;
  std::array<std::byte, 8> partial_{};  // the size_ % 8 bytes behind them
};

}  // namespace rn
