// What the ranks tell each other of a round's clients besides the sums: a row of numbers per place in the
// cohort, written by the rank that trained it, and known to all ranks after one small all-reduce.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/communicator.h"

namespace rn::federated {

struct ClientReport {
  bool counts = false;  // its update is in the sums
  double loss_sum = 0;  // over `images`
  double images = 0;    // trained on, repetitions included
  double steps = 0;
  double norm = 0;         // of its update, before clipping
  double below_bound = 0;  // 1: clipping left it whole
  double scalar = 0;       // Contribution::scalar
};

class RoundTable {
 public:
  // `statistics`: numbers of running statistics per client.
  RoundTable(std::int64_t places, std::int64_t statistics);

  void set(std::size_t place, const ClientReport& report);
  std::span<double> statistics(std::size_t place);

  // Collective. Afterwards every rank reads the same. `stop_reasons`: by dist::StopReason, counted over
  // ranks; `seconds`: the rank's own time for its clients, afterwards of all ranks.
  void share(Communicator& host, int stop_reason, double seconds);

  ClientReport report(std::size_t place) const;
  std::span<const double> statistics(std::size_t place) const;
  int stop_reason() const;  // the most urgent; 0: none
  std::span<const double> rank_seconds() const;

 private:
  std::span<double> row(std::size_t place);

  const std::size_t places_;
  const std::size_t width_;
  std::size_t ranks_ = 0;
  std::vector<double> values_;  // [places, width_], then stop reasons, then seconds by rank
};

}  // namespace rn::federated
