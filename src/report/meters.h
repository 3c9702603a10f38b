// Means and percentiles.
#pragma once

#include <cstdint>
#include <vector>

namespace rn::report {

// A weighted mean of what was added since the last reset: of losses by sample counts, for example.
class RunningMean {
 public:
  void add(double value, double weight = 1) {
    sum_ += value * weight;
    weight_ += weight;
  }
  double mean() const { return weight_ > 0 ? sum_ / weight_ : 0; }  // 0 before the first add
  double weight() const { return weight_; }
  void reset() { *this = RunningMean(); }

 private:
  double sum_ = 0;
  double weight_ = 0;
};

// An exponentially weighted mean without the bias towards zero of its start: the first value counts in full.
class SmoothedMean {
 public:
  // `decay`: weight of the past per added value, in [0, 1).
  explicit SmoothedMean(double decay) : decay_(decay) {}

  void add(double value) {
    sum_ = decay_ * sum_ + (1 - decay_) * value;
    weight_ = decay_ * weight_ + (1 - decay_);
  }
  bool empty() const { return weight_ == 0; }
  double mean() const { return empty() ? 0 : sum_ / weight_; }

 private:
  double decay_;
  double sum_ = 0;
  double weight_ = 0;
};

// Linear between the two nearest ranks, as numpy.percentile. `percent` in [0, 100]; NaN of nothing.
double percentile(std::vector<double> values, double percent);
double median(std::vector<double> values);

}  // namespace rn::report
