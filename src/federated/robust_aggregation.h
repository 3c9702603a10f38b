// Aggregations that a few hostile clients cannot steer. Updates are float spans of equal size; all sums run
// in a fixed order over the updates as given, so results do not depend on threads or ranks.
//
// Coordinate by coordinate (median, trimmed mean) and squared distances are sums or maps over coordinates: a
// rank may compute them for its own part of the coordinates.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rn::federated {

using Updates = std::span<const std::span<const float>>;

// The median of each coordinate; for an even number of updates the mean of the two in the middle (Yin et al.
// 2018). REQUIRES: at least one update, finite values, out of the same size.
void coordinate_median(Updates updates, std::span<float> out);

// The mean of each coordinate without its floor(trim * n) smallest and largest values (Yin et al. 2018).
// REQUIRES: as above, 0 <= trim < 0.5.
void trimmed_mean(Updates updates, double trim, std::span<float> out);

// Squared L2 distances between all pairs, [n, n] row-major, in double.
std::vector<double> squared_distances(Updates updates);

// Krum's score of each update: the sum of its squared distances to the n - byzantine - 2 nearest others
// (Blanchard et al. 2017). REQUIRES: `distances` is [n, n], 2 * byzantine + 2 < n.
std::vector<double> krum_scores(std::span<const double> distances, std::int64_t byzantine);

// The `keep` updates of the lowest scores, ascending by position (Krum: keep = 1; Multi-Krum: more). Ties go
// to the earlier one. REQUIRES: 0 < keep <= scores.size().
std::vector<std::int64_t> lowest_scores(std::span<const double> scores, std::int64_t keep);

// Throws ConfigError where so many updates cannot withstand so many attackers under Krum.
void check_krum(std::int64_t updates, std::int64_t byzantine, std::int64_t keep);

// The L2 norm, summed in double.
double l2_norm(std::span<const float> update);

// Scales the update down to the bound if it is longer; returns the factor, 1 where it was not. REQUIRES:
// bound > 0, finite values.
double clip_to_norm(std::span<float> update, double bound);

}  // namespace rn::federated
