#include "federated/robust_aggregation.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace rn::federated {
namespace {

// Coordinates that are sorted together. Their values lie side by side, so that the compiler compares a vector
// of them at a time, and as integers that order like the floats, since minimum and maximum of integers are
// single instructions.
constexpr std::size_t kLanes = 64;
using Row = std::array<std::int32_t, kLanes>;

std::int32_t key_of(float value) {
  const auto bits = std::bit_cast<std::int32_t>(value);
  return bits ^ ((bits >> 31) & INT32_MAX);
}
float value_of(std::int32_t key) { return std::bit_cast<float>(key ^ ((key >> 31) & INT32_MAX)); }

void order(Row& low_row, Row& high_row) {
  std::int32_t* __restrict low = low_row.data();
  std::int32_t* __restrict high = high_row.data();
  for (std::size_t i = 0; i < kLanes; ++i) {
    const std::int32_t smaller = std::min(low[i], high[i]);
    high[i] = std::max(low[i], high[i]);
    low[i] = smaller;
  }
}

// Sorts every lane over the rows by Batcher's merge exchange (Knuth, volume 3, algorithm 5.2.2M): the same
// comparisons whatever the values.
void sort_lanes(std::span<Row> rows) {
  const std::size_t n = rows.size();
  const std::size_t top = std::bit_ceil(n) / 2;
  for (std::size_t p = top; p > 0; p /= 2) {
    std::size_t q = top;
    std::size_t r = 0;
    std::size_t d = p;
    for (;;) {
      for (std::size_t i = 0; i + d < n; ++i) {
        if ((i & p) == r) order(rows[i], rows[i + d]);
      }
      if (q == p) break;
      d = q - p;
      q /= 2;
      r = p;
    }
  }
}

void check_sizes(Updates updates, std::size_t size) {
  RN_CHECK(!updates.empty(), "no updates");
  for (const auto& update : updates) RN_CHECK(update.size() == size, update.size(), " and ", size);
}

// Calls join(rows, out) with the sorted keys of kLanes coordinates at a time.
template <typename Join>
void join_sorted(Updates updates, std::span<float> out, const Join& join) {
  check_sizes(updates, out.size());
  std::vector<Row> rows(updates.size());
  for (std::size_t begin = 0; begin < out.size(); begin += kLanes) {
    const std::size_t count = std::min(kLanes, out.size() - begin);
    for (std::size_t u = 0; u < updates.size(); ++u) {
      const float* const values = updates[u].data() + begin;
      for (std::size_t i = 0; i < count; ++i) rows[u][i] = key_of(values[i]);
    }
    sort_lanes(rows);
    std::array<float, kLanes> joined;
    join(rows, joined);
    std::copy_n(joined.begin(), count, out.begin() + static_cast<std::ptrdiff_t>(begin));
  }
}

// The sum of value(i) over i < size in double, in a fixed order: eight sums side by side, then these.
template <typename Value>
double sum_of(std::size_t size, const Value& value) {
  std::array<double, 8> sums{};
  std::size_t i = 0;
  for (; i + sums.size() <= size; i += sums.size()) {
    for (std::size_t lane = 0; lane < sums.size(); ++lane) sums[lane] += value(i + lane);
  }
  for (std::size_t lane = 0; i < size; ++i, ++lane) sums[lane] += value(i);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace

void coordinate_median(Updates updates, std::span<float> out) {
  const std::size_t n = updates.size();
  join_sorted(updates, out, [n](std::span<const Row> rows, std::span<float> joined) {
    const Row& low = rows[(n - 1) / 2];
    const Row& high = rows[n / 2];
    for (std::size_t i = 0; i < kLanes; ++i) {
      joined[i] = n % 2 == 1 ? value_of(high[i]) : 0.5F * value_of(low[i]) + 0.5F * value_of(high[i]);
    }
  });
}

void trimmed_mean(Updates updates, double trim, std::span<float> out) {
  RN_CHECK(trim >= 0 && trim < 0.5, "trim = ", trim);
  const std::size_t n = updates.size();
  const auto cut = static_cast<std::size_t>(trim * static_cast<double>(n));
  join_sorted(updates, out, [=](std::span<const Row> rows, std::span<float> joined) {
    std::array<double, kLanes> sums{};
    for (const Row& row : rows.subspan(cut, n - 2 * cut)) {
      for (std::size_t i = 0; i < kLanes; ++i) sums[i] += static_cast<double>(value_of(row[i]));
    }
    const auto kept = static_cast<double>(n - 2 * cut);
    for (std::size_t i = 0; i < kLanes; ++i) joined[i] = static_cast<float>(sums[i] / kept);
  });
}

std::vector<double> squared_distances(Updates updates) {
  constexpr std::size_t kBlock = 2048;  // so many coordinates of some 50 updates stay in a core's cache
  const std::size_t n = updates.size();
  const std::size_t size = n > 0 ? updates.front().size() : 0;
  if (n > 0) check_sizes(updates, size);
  std::vector<double> distances(n * n, 0.0);
  for (std::size_t begin = 0; begin < size; begin += kBlock) {
    const std::size_t count = std::min(kBlock, size - begin);
    for (std::size_t a = 0; a < n; ++a) {
      const float* const x = updates[a].data() + begin;
      for (std::size_t b = a + 1; b < n; ++b) {
        const float* const y = updates[b].data() + begin;
        distances[a * n + b] += sum_of(count, [=](std::size_t i) {
          const double difference = static_cast<double>(x[i]) - static_cast<double>(y[i]);
          return difference * difference;
        });
      }
    }
  }
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < a; ++b) distances[a * n + b] = distances[b * n + a];
  }
  return distances;
}

std::vector<double> krum_scores(std::span<const double> distances, std::int64_t byzantine) {
  const auto n = static_cast<std::size_t>(std::llround(std::sqrt(static_cast<double>(distances.size()))));
  RN_CHECK(n * n == distances.size() && byzantine >= 0 && 2 * byzantine + 2 < static_cast<std::int64_t>(n), n,
           " updates, ", byzantine, " byzantine");
  const std::size_t nearest = n - static_cast<std::size_t>(byzantine) - 2;
  std::vector<double> scores(n);
  std::vector<double> others;
  for (std::size_t u = 0; u < n; ++u) {
    others.clear();
    for (std::size_t v = 0; v < n; ++v) {
      if (v != u) others.push_back(distances[u * n + v]);
    }
    std::sort(others.begin(), others.end());
    scores[u] = std::accumulate(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(nearest), 0.0);
  }
  return scores;
}

std::vector<std::int64_t> lowest_scores(std::span<const double> scores, std::int64_t keep) {
  RN_CHECK(keep > 0 && keep <= static_cast<std::int64_t>(scores.size()), keep, " of ", scores.size());
  std::vector<std::int64_t> positions(scores.size());
  std::iota(positions.begin(), positions.end(), std::int64_t{0});
  std::stable_sort(positions.begin(), positions.end(), [&](std::int64_t a, std::int64_t b) {
    return scores[static_cast<std::size_t>(a)] < scores[static_cast<std::size_t>(b)];
  });
  positions.resize(static_cast<std::size_t>(keep));
  std::sort(positions.begin(), positions.end());
  return positions;
}

void check_krum(std::int64_t updates, std::int64_t byzantine, std::int64_t keep) {
  if (byzantine < 0 || 2 * byzantine + 2 >= updates) {
    throw ConfigError(cat("federated.byzantine: Krum withstands ", byzantine, " attackers among at least ",
                          2 * byzantine + 3, " updates, and a round has ", updates,
                          "; take a larger federated.cohort or fewer attackers"));
  }
  if (keep < 1 || keep > updates) {
    throw ConfigError(cat("federated.krum_keep: ", keep, " of the ", updates, " updates of a round"));
  }
}

double l2_norm(std::span<const float> update) {
  return std::sqrt(sum_of(update.size(), [&](std::size_t i) {
    const auto value = static_cast<double>(update[i]);
    return value * value;
  }));
}

double clip_to_norm(std::span<float> update, double bound) {
  RN_CHECK(bound > 0, "bound = ", bound);
  const double norm = l2_norm(update);
  if (norm <= bound) return 1.0;
  const double factor = bound / norm;
  for (float& value : update) value = static_cast<float>(static_cast<double>(value) * factor);
  return factor;
}

}  // namespace rn::federated
