// What a run measures, and how it stands in metrics.jsonl: one JSON object per event.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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

struct CheckpointRecord {
  Position at;  // of the state that was saved; the record stands where its write was found to have ended
  bool written = false;
  std::string error;         // why not
  bool best = false;         // `best` points to it
  double stall_ms = 0;       // training waited: for the copy, and for the write where it had to be awaited
  double write_seconds = 0;  // from the start of the write to its end, beside the training
  std::uint64_t bytes = 0;   // of all tensors
};

// Federated runs; Position::step counts rounds there.
struct RoundRecord {
  Position at;
  std::int64_t clients = 0;  // whose updates count
  std::int64_t asked = 0, dropped = 0, late = 0, skipped = 0;
  double staleness = -1;                      // mean, in server steps; below 0: not asynchronous
  double train_loss = 0;                      // mean over the images that clients trained on
  double top1 = -1;                           // percent, of the server's weights; below 0: not evaluated
  double seconds = 0;                         // without evaluation
  std::int64_t bytes_up = 0, bytes_down = 0;  // of all clients in this round
  double local_lr = 0;
  double update_norm = 0;        // mean over clients, before clipping
  double mean_update_norm = 0;   // of what the server applied
  double idle_share = 0;         // of the ranks' time, waiting for the longest one
  double images_per_second = 0;  // trained on, over `seconds`
  double simulated_seconds = 0;  // since the run's start
  double clip = 0;               // bound of an update; 0: none
  double epsilon = -1;           // spent so far; below 0: no privacy
};

// The server's weights on each client's own images.
struct PersonalRecord {
  Position at;
  double tuned_epochs = 0;              // of local training before
  double mean = 0;                      // percent, over clients
  double worst_tenth = 0;               // mean over the tenth of the clients that are served worst
  std::vector<std::int64_t> histogram;  // clients by accuracy: [0, 10), [10, 20), ... [90, 100] percent
  double seconds = 0;
};

struct RunPlan {  // for progress and ETA
  std::int64_t total_steps = 0;
  std::int64_t steps_per_epoch = 0;
  bool by_rounds = false;  // a federated run: steps are rounds
};

// `elapsed_seconds`: since this process started its part of the run.
Json to_json(const StepRecord& record, double elapsed_seconds);
Json to_json(const EpochRecord& record);
Json to_json(const EvalRecord& record);
Json to_json(const RoundRecord& record, double elapsed_seconds);
Json to_json(const PersonalRecord& record);
Json to_json(const CheckpointRecord& record);

// object[key] = value. JSON knows no NaN and no infinity: these become null, with the text ("nan", "inf",
// "-inf") beside it under "<key>_text".
void put_number(Json& object, const std::string& key, double value);

// The number under `key`; NaN where it is absent or null.
double number_at(const Json& object, const std::string& key);

// The file as text. Bytes that are no UTF-8 (a host's odd name, a path) become the replacement character
// instead of an error that would lose the record.
std::string dump(const Json& value, int indent = -1);

}  // namespace rn::report
