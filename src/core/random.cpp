#include "core/random.h"

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/philox_lanes.h"

namespace rn {
namespace {

constexpr std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
constexpr std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{kPhiloxMultiplier0} * counter[0];
    const std::uint64_t product1 = std::uint64_t{kPhiloxMultiplier1} * counter[2];
    counter = {high(product1) ^ counter[1] ^ key[0], low(product1), high(product0) ^ counter[3] ^ key[1],
               low(product0)};
    key[0] += kPhiloxWeyl0;
    key[1] += kPhiloxWeyl1;
  }
  return counter;
}

// Two stages, because (purpose, a, b) and a block number are more than one counter holds: the first draws a
// key from (seed, purpose, a), the second counts blocks under that key with b in the counter.
CounterRandom::CounterRandom(std::uint64_t seed, Purpose purpose, std::uint64_t a, std::uint64_t b) {
  const auto derived =
      philox4x32({low(a), high(a), static_cast<std::uint32_t>(purpose), 0}, {low(seed), high(seed)});
  key_ = {derived[0], derived[1]};
  counter_ = {0, 0, low(b), high(b)};
}

std::uint32_t CounterRandom::next() {
  if (used_ == 4) {
    block_ = philox4x32(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[static_cast<std::size_t>(used_++)];
}

void CounterRandom::fill(std::span<std::uint32_t> words) {
  std::size_t done = 0;
  while (used_ != 4 && done < words.size()) words[done++] = next();
  for (; words.size() - done >= 4 * kPhiloxLanes; done += 4 * kPhiloxLanes) {
    const std::uint64_t first = std::uint64_t{counter_[1]} << 32 | counter_[0];
    philox_lanes(first, {counter_[2], counter_[3]}, key_, words.data() + done);
    counter_[0] = low(first + kPhiloxLanes);
    counter_[1] = high(first + kPhiloxLanes);
  }
  while (done < words.size()) words[done++] = next();
}

std::uint32_t CounterRandom::below(std::uint32_t bound) {
  RN_CHECK(bound > 0, "below() needs a bound above zero");
  std::uint64_t product = std::uint64_t{next()} * bound;
  if (low(product) < bound) {
    const std::uint32_t threshold =
        (0U - bound) % bound;  // 2^32 mod bound: so many draws would be one too many
    while (low(product) < threshold) product = std::uint64_t{next()} * bound;
  }
  return high(product);
}

double CounterRandom::uniform() {
  const std::uint64_t upper = next() >> 5;
  const std::uint64_t lower = next() >> 6;
  return static_cast<double>((upper << 26) | lower) * 0x1p-53;
}

double CounterRandom::normal() {
  if (has_spare_normal_) {
    has_spare_normal_ = false;
    return spare_normal_;
  }
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));  // 1 - u is in (0, 1]: the log is finite
  const double angle = 2.0 * std::numbers::pi * uniform();
  spare_normal_ = radius * std::sin(angle);
  has_spare_normal_ = true;
  return radius * std::cos(angle);
}

}  // namespace rn
