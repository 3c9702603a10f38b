// Why a stop was asked for.
#pragma once

#include "core/error.h"

namespace rn::dist {

// In order of priority; the exit code follows from it.
enum class StopReason : int { kNone = 0, kRequeue = 1, kTerminate = 2, kInterrupt = 3 };

inline ExitCode exit_code_of(StopReason reason) {
  switch (reason) {
    case StopReason::kRequeue:
      return ExitCode::kRequeue;
    case StopReason::kTerminate:
      return ExitCode::kTerminated;
    case StopReason::kInterrupt:
      return ExitCode::kInterrupted;
    case StopReason::kNone:
      break;
  }
  return ExitCode::kDone;
}

}  // namespace rn::dist
