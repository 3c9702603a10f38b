#include "data/epoch_order.h"

#include <numeric>
#include <utility>

#include "core/error.h"
#include "core/random.h"

namespace rn::data {

std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::int64_t epoch) {
  RN_CHECK(n >= 0 && n <= std::int64_t{UINT32_MAX}, "n = ", n);
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  CounterRandom random(seed, Purpose::kOrder, static_cast<std::uint64_t>(epoch), 0);
  for (std::size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[random.below(static_cast<std::uint32_t>(left))]);
  }
  return order;
}

}  // namespace rn::data
