#include "config/derived.h"

#include <algorithm>

#include "core/error.h"

namespace rn::config {

std::string run_folder(const RunConfig& config) {
  return config.run.dir.empty() ? "runs/" + config.run.name : config.run.dir;
}

std::int64_t global_batch(const RunConfig& config, int world_size) {
  RN_CHECK(world_size >= 1, "config: world size ", world_size);
  if (config.train.batch_per_rank > 0) return config.train.batch_per_rank * world_size;
  return config.train.global_batch > 0 ? config.train.global_batch : kDefaultGlobalBatch;
}

RunConfig resolve_batch(RunConfig config, int world_size) {
  config.train.global_batch = global_batch(config, world_size);
  config.train.batch_per_rank = 0;
  return config;
}

int client_threads(const RunConfig& config) { return config.train.threads > 0 ? config.train.threads : 1; }

bool is_strict(const RunConfig& config) { return config.run.deterministic == Determinism::kStrict; }

int shards_of_rank(const RunConfig& config, int world_size) {
  return is_strict(config) ? config.train.shards / world_size : config.train.accumulate_steps;
}

int step_threads(const RunConfig& config) {
  return is_strict(config) ? std::max(config.train.threads, 1) : config.train.threads;
}

std::string monitor(const RunConfig& config) {
  const auto& name = config.checkpoint.monitor;
  if (config.data.validation == 0 && name.starts_with("val.")) return "test." + name.substr(4);
  return name;
}

}  // namespace rn::config
