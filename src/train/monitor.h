// What checkpoint.monitor names: by which result the best checkpoint is chosen.
#pragma once

#include <string>

#include "train/evaluator.h"

namespace rn::train {

struct Monitor {
  std::string split;
  std::string metric;  // top1, top5 or loss

  // `name`: e.g. "val.loss"; the test split stands in where there is no validation split.
  Monitor(const std::string& name, bool has_val)
      : split(name.substr(0, name.find('.'))), metric(name.substr(name.find('.') + 1)) {
    if (!has_val) split = "test";
  }
  double value(const EvalResult& result) const {
    return metric == "loss"   ? result.loss()
           : metric == "top5" ? result.top5_percent()
                              : result.top1_percent();
  }
  bool better(double a, double b) const { return metric == "loss" ? a < b : a > b; }
};

}  // namespace rn::train
