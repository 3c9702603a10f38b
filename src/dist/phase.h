// What a rank is doing, as the progress board, reports and the flight recorder name it.
#pragma once

#include <cstdint>
#include <string_view>

namespace rn::dist {

// kEnding: leaving, well (in finish) or badly (failed_code is then set). kFinished: gone well, the process
// may vanish.
enum class Phase : std::uint32_t { kInit, kData, kStep, kEval, kCheckpoint, kFinished, kEnding };
inline constexpr int kPhases = 7;

constexpr std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kInit:
      return "init";
    case Phase::kData:
      return "data";
    case Phase::kStep:
      return "step";
    case Phase::kEval:
      return "eval";
    case Phase::kCheckpoint:
      return "checkpoint";
    case Phase::kFinished:
      return "finished";
    case Phase::kEnding:
      return "ending";
  }
  return "?";
}

}  // namespace rn::dist
