// Where the ranks' time goes, and which of them keeps the others waiting.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/communicator.h"
#include "dist/phase.h"
#include "dist/progress_board.h"

namespace rn::dist {

// Of one rank since its start, in seconds by phase. Plain data: ranks send it to each other.
struct RankTimes {
  std::array<double, kPhases> phase{};       // in the phase
  std::array<double, kPhases> collective{};  // of that, in collectives of the host: for a rank that comes
                                             // early, mostly waiting for the others
  std::array<char, 64> host{};               // its machine's name
};

RankTimes operator-(RankTimes later, const RankTimes& earlier);

// Collective. The times of all ranks, by rank, from their boards.
std::vector<RankTimes> gather_times(const ProgressBoard& board, Communicator& host);

// The rank for which the others waited longest while training: the time by which it came to the collectives
// of the phases data and step later than the earliest rank. rank -1: no rank stands out. Where ranks are late
// by turns nobody does.
struct Straggler {
  int rank = -1;
  double late_seconds = 0;  // later than the rank that waited most
  double of_seconds = 0;    // the time looked at, waits included
};
Straggler find_straggler(std::span<const RankTimes> times);

// One line about the straggler, empty without one: "rank 2 on host a is slower than the others: ...".
std::string describe_straggler(std::span<const RankTimes> times);

}  // namespace rn::dist
