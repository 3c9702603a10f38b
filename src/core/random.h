// Counter-based randomness: every draw is a pure function of what it is for, never of who draws it.
//
// A CounterRandom is keyed by (seed, purpose, a, b), where a and b are for example epoch and sample. So a
// sample's augmentation is the same on any rank, in any batch, in any process, and a resumed run needs no
// generator state. Generator: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2,
// 3"). No std:: distributions: their results differ between standard libraries.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace rn {

// What a draw is for. Values are part of the reproducibility of runs: append, never renumber.
enum class Purpose : std::uint32_t {
  kOrder = 1,      // (epoch, 0): the epoch's permutation
  kCrop = 2,       // (epoch, sample)
  kFlip = 3,       // (epoch, sample); alternating flip: (0, sample)
  kCutout = 4,     // (epoch, sample)
  kInit = 5,       // (parameter index, 0)
  kSplit = 6,      // (0, 0): which training images form the validation split
  kSynthetic = 7,  // (split, sample)
  kDropout = 8,    // (step, layer)

  // Federated runs.
  kPartition = 9,       // (attempt, class or client): which images each client holds
  kCohort = 10,         // (round, 0); by size: (round, client)
  kClientDropout = 11,  // (round, client): whether it answers
  kStraggler = 12,      // (round, client): the share of its work
  kLocalEpochs = 13,    // (round, client)
  kClientSpeed = 14,    // (0, client)
  kAttackers = 15,      // (0, 0): which clients attack
  kAttackNoise = 16,    // (round, client)
  kMaskSeed = 17,       // (round, client): keys and seeds of secure aggregation
  kMask = 18,           // (round, kind) under a seed of its own: the mask itself
  kPrivacyNoise = 19,   // (round, client; the server: all ones)
  kMaskShares = 20,     // (2 * round + which secret, client): polynomials of Shamir's shares
  kClient = 21,         // (round, client): the seed of its part in the round
};

// The raw block function: 4 x 32 random bits from a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

// A stream of draws. The words are Philox blocks 0, 1, 2, ... with b in the counter, under a key drawn from
// (seed, purpose, a); two streams that differ in b alone never share a block. Cheap to make (two blocks of
// some 10 ns), so one is made per sample. Not thread-safe: every thread makes its own.
class CounterRandom {
 public:
  CounterRandom(std::uint64_t seed, Purpose purpose, std::uint64_t a, std::uint64_t b);

  std::uint32_t next();                       // 32 uniform bits
  void fill(std::span<std::uint32_t> words);  // as many calls of next(), many times as fast
  std::uint32_t below(std::uint32_t bound);   // uniform in [0, bound), unbiased (Lemire 2019); bound > 0
  double uniform();                           // in [0, 1), 53 bits
  double normal();                            // standard normal (Box-Muller, by the machine's libm)

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;                   // words of block_ already handed out
  bool has_spare_normal_ = false;  // Box-Muller makes two at a time
  double spare_normal_ = 0.0;
};

}  // namespace rn
