// summary.json: what came out of the run, as a fold over its records. A resumed run folds the records that it
// kept, so its summary speaks of the whole run.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/records.h"

namespace rn::report {

// Not thread-safe.
class Summary {
 public:
  // Any record of metrics.jsonl, in the file's order.
  void add(const Json& record);

  bool by_rounds() const { return by_rounds_; }

  // Median of images_per_second over the step records, without the first after each start (it holds the
  // warm-up); NaN if there is none.
  double images_per_second() const;

  // Wall time of all parts of the run that the records speak of: of each part as far as its last record
  // tells.
  double total_seconds() const;

  // The last evaluation of what a run is judged by: split test, else val, else train; weights swa, else ema,
  // else raw. Null: none.
  Json headline() const;

  // Keys: status, exit_code, step, epoch, seconds (this process), total_seconds, starts, images_per_second,
  // peak_memory_bytes, evals {split: {weights: last eval}}, best {split: eval of the highest top1}, run_dir;
  // then what `totals` holds (which wins where it names one of these).
  Json to_json(const std::string& run_dir, const nlohmann::json& totals) const;

 private:
  struct Part {  // from a run_start to the next
    double seconds = 0;
    bool first_step_seen = false;
  };

  Part& current();

  std::vector<Part> parts_;
  std::vector<double> rates_;                                // images/s
  std::map<std::string, std::map<std::string, Json>> last_;  // split -> weights -> eval
  std::map<std::string, Json> best_;                         // split -> eval
  Json end_ = Json::object();                                // the last run_end
  std::int64_t step_ = 0;
  bool by_rounds_ = false;  // a federated run
  double epoch_ = 0;
};

// The line that a run ends with: "done: 4692 steps (or rounds) in 1:02:03, test top-1 93.10 % (swa), 2950
// images/s, runs/train".
std::string format_summary(const Summary& summary, const std::string& status, const std::string& run_dir);

}  // namespace rn::report
