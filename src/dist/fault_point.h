// Faults on purpose, for the tests: RN_FAULT makes one rank fail at one point of a run.
//
//   RN_FAULT="FAULT@POINT[:rank=R][:step=S][:seconds=X]"
//
// POINT: a phase (init, data, step, eval, checkpoint, ending), or a kind of collective, when the rank's
// communication thread has begun one. The fault comes once, the first time that rank R (default 0) is there
// at step S or later (default: at once). FAULT:
//   kill segv bus fpe ill abort stop             the signals
//   exit vanish                                  exit(0), _exit(0)
//   throw throw_data throw_memory throw_numbers  exceptions: std::runtime_error, exit codes 4, 1 and 5
//   hang                                         for ever; `slow` for X seconds, every time
//   flip nan                                     of an all_reduce of 2 KiB or more: a bit of this rank's
//                                                result; its contribution's first number. At the point
//                                                `copy` (rank 0): a bit of a checkpoint's copy of the state
// Compiled into builds with tests only; elsewhere (no_fault_point.cpp) RN_FAULT means nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/dtype.h"

namespace rn::dist {

bool built_with_fault_points();

// May not return. Throws ConfigError for an RN_FAULT that cannot be read.
void fault_point(std::string_view point, int rank, std::int64_t step);

// Where data goes into a collective, and where it came out.
enum class FaultData { kContribution, kResult };
void fault_point_data(FaultData place, std::string_view point, int rank, std::int64_t step,
                      std::span<std::byte> data, DType dtype);

}  // namespace rn::dist
