// Log lines on stderr, with the rank in front when there are several. Backed by spdlog, which only log.cpp
// sees (its fmt and LibTorch's clash).
#pragma once

#include <string_view>

#include "core/error.h"

namespace rn {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Call once the rank is known; before that lines from info upwards appear, without a rank. What all ranks
// would say alike is said by rank 0: info and warnings of other ranks are dropped unless `all_ranks`; errors
// and debug lines of every rank appear. Thread-safe after init.
void init_logging(LogLevel level, int rank, int world_size, bool all_ranks = false);

void log(LogLevel level, std::string_view message);

template <typename... Parts>
void log_debug(const Parts&... parts) {
  log(LogLevel::kDebug, cat(parts...));
}
template <typename... Parts>
void log_info(const Parts&... parts) {
  log(LogLevel::kInfo, cat(parts...));
}
template <typename... Parts>
void log_warning(const Parts&... parts) {
  log(LogLevel::kWarning, cat(parts...));
}
template <typename... Parts>
void log_error(const Parts&... parts) {
  log(LogLevel::kError, cat(parts...));
}

}  // namespace rn
