// Why a stop was asked for.
#pragma once

namespace rn::dist {

// In order of priority; the exit code follows from it.
enum class StopReason : int { kNone = 0, kRequeue = 1, kTerminate = 2, kInterrupt = 3 };

}  // namespace rn::dist
