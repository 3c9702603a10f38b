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

// checkpoint.monitor; test.* for val.* where there is no validation split.
std::string monitor(const RunConfig& config);

}  // namespace rn::config
