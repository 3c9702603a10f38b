#include "federated/round_table.h"

#include "core/error.h"

namespace rn::federated {
namespace {

enum Column { kCounts, kLossSum, kImages, kSteps, kNorm, kBelowBound, kScalar, kColumns };
constexpr std::size_t kStopReasons = 4;  // dist::StopReason

}  // namespace

RoundTable::RoundTable(std::int64_t places, std::int64_t statistics)
    : places_(static_cast<std::size_t>(places)),
      width_(kColumns + static_cast<std::size_t>(statistics)),
      values_(places_ * width_ + kStopReasons, 0.0) {}

std::span<double> RoundTable::row(std::size_t place) {
  RN_CHECK(place < places_);
  return std::span(values_).subspan(place * width_, width_);
}

void RoundTable::set(std::size_t place, const ClientReport& report) {
  const auto values = row(place);
  values[kCounts] = report.counts ? 1 : 0;
  values[kLossSum] = report.loss_sum;
  values[kImages] = report.images;
  values[kSteps] = report.steps;
  values[kNorm] = report.norm;
  values[kBelowBound] = report.below_bound;
  values[kScalar] = report.scalar;
}

std::span<double> RoundTable::statistics(std::size_t place) { return row(place).subspan(kColumns); }

std::span<const double> RoundTable::statistics(std::size_t place) const {
  return std::span(values_).subspan(place * width_ + kColumns, width_ - kColumns);
}

void RoundTable::share(Communicator& host, int stop_reason, double seconds) {
  ranks_ = static_cast<std::size_t>(host.world_size());
  values_[places_ * width_ + static_cast<std::size_t>(stop_reason)] = 1;
  values_.resize(places_ * width_ + kStopReasons + ranks_, 0.0);
  values_[values_.size() - ranks_ + static_cast<std::size_t>(host.rank())] = seconds;
  // Every number but the counts of stop reasons is not zero on one rank only: sums change no bit.
  host.all_reduce(bytes_of(std::span(values_)), DType::kF64).wait();
}

ClientReport RoundTable::report(std::size_t place) const {
  const auto values = std::span(values_).subspan(place * width_, width_);
  return {values[kCounts] != 0, values[kLossSum],    values[kImages], values[kSteps],
          values[kNorm],        values[kBelowBound], values[kScalar]};
}

int RoundTable::stop_reason() const {
  for (std::size_t reason = kStopReasons - 1; reason > 0; --reason) {
    if (values_[places_ * width_ + reason] > 0) return static_cast<int>(reason);
  }
  return 0;
}

std::span<const double> RoundTable::rank_seconds() const {
  return std::span(values_).subspan(values_.size() - ranks_);
}

}  // namespace rn::federated
