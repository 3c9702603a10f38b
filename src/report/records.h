// What a run measures, and how it stands in metrics.jsonl: one JSON object per event.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace rn::report {

// Keys in the order in which they were put: records read as they were written.
using Json = nlohmann::ordered_json;

// Shared by records: where in the run.
struct Position {
  std::int64_t step = 0;  // optimizer steps done
  double epoch = 0;       // epochs done, fraction included
};

struct StepRecord {
  Position at;
  double loss = 0;  // mean over the global batch
  double top1 = 0;  // percent, of the global batch, as trained (augmented)
  double lr = 0;
  double images_per_second = 0;  // images / wall time since the previous record, waits included
  double data_wait_ms = 0;       // per step since the previous record, this rank
  double comm_wait_ms = 0;
  double grad_norm = -1;  // before clipping; below 0: not computed
  double loss_scale = 0;  // 0: no loss scaling
};

struct EpochRecord {
  Position at;
  double train_loss = 0;
  double train_top1 = 0;  // percent
  double lr = 0;
  double seconds = 0;
};

struct EvalRecord {
  Position at;
  std::string split;    // test | val | train
  std::string weights;  // raw | ema | swa
  double top1 = 0;      // percent
  double top5 = 0;
  double loss = 0;
  std::int64_t n = 0;
  double seconds = 0;
};

struct RunPlan {  // for progress and ETA
  std::int64_t total_steps = 0;
  std::int64_t steps_per_epoch = 0;
};

// `elapsed_seconds`: since this process started its part of the run.
Json to_json(const StepRecord& record, double elapsed_seconds);
Json to_json(const EpochRecord& record);
Json to_json(const EvalRecord& record);

// object[key] = value. JSON knows no NaN and no infinity: these become null, with the text ("nan", "inf",
// "-inf") beside it under "<key>_text".
void put_number(Json& object, const std::string& key, double value);

// The number under `key`; NaN where it is absent or null.
double number_at(const Json& object, const std::string& key);

// The file as text. Bytes that are no UTF-8 (a host's odd name, a path) become the replacement character
// instead of an error that would lose the record.
std::string dump(const Json& value, int indent = -1);

}  // namespace rn::report
