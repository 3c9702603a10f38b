// What follows from a configuration: values that several modules need and none should work out twice.
#pragma once

#include <cstdint>
#include <string>

#include "config/run_config.h"

namespace rn::config {

inline constexpr std::int64_t kDefaultGlobalBatch = 128;

// run.dir, or runs/<run.name> where it is empty.
std::string run_folder(const RunConfig& config);

// Images of one optimizer step over all ranks and accumulation. REQUIRES: world_size >= 1.
std::int64_t global_batch(const RunConfig& config, int world_size);

// The configuration with train.global_batch as it is with that many ranks, and no batch_per_rank: what
// config.resolved.yaml holds and what identities are compared with. REQUIRES: world_size >= 1.
RunConfig resolve_batch(RunConfig config, int world_size);

// Threads that train a client of a federated run: train.threads, 1 where it is 0, so that the bits of a run
// do not depend on the machine's cores and ranks.
int client_threads(const RunConfig& config);

bool is_strict(const RunConfig& config);  // run.deterministic: strict

// Shards that each rank computes in a step, one after another: train.accumulate_steps, or with strict
// reproducibility its part of train.shards. REQUIRES: check_world.
int shards_of_rank(const RunConfig& config, int world_size);

// Threads of a rank, 0 for the node's cores divided among its ranks: train.threads, but with strict
// reproducibility, which needs a fixed number, at least one.
int step_threads(const RunConfig& config);

// checkpoint.monitor; test.* for val.* where there is no validation split.
std::string monitor(const RunConfig& config);

}  // namespace rn::config
