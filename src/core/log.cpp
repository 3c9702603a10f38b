#include "core/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <atomic>
#include <memory>

namespace rn {
namespace {

struct Log {
  spdlog::logger logger{"rn", std::make_shared<spdlog::sinks::stderr_color_sink_mt>()};
  std::atomic<bool> speaks_for_all = true;  // rank 0, or any rank with all_ranks

  Log() { logger.set_pattern("%H:%M:%S %^%l%$: %v"); }
};

// Never destroyed: threads that outlive main (a watchdog) may still log.
Log& instance() {
  static Log& log = *new Log;
  return log;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void init_logging(LogLevel level, int rank, int world_size, bool all_ranks) {
  Log& log = instance();
  log.logger.set_level(spdlog_level(level));
  log.logger.set_pattern(world_size > 1 ? cat("%H:%M:%S [rank ", rank, "] %^%l%$: %v")
                                        : "%H:%M:%S %^%l%$: %v");
  log.speaks_for_all = rank == 0 || all_ranks;
}

void log(LogLevel level, std::string_view message) {
  Log& log = instance();
  const bool said_by_every_rank = level == LogLevel::kError || level == LogLevel::kDebug;
  if (!said_by_every_rank && !log.speaks_for_all) return;
  log.logger.log(spdlog_level(level), spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace rn
