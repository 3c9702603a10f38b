// Faults in the memory of a running rank, made from outside as a cosmic ray makes them: the program tested is
// the one that is shipped, without a hook for faults.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string_view>

namespace rn::app_testing {

// The process of rank `rank` that `mpirun` has started on this machine; -1: there is none.
pid_t rank_process(pid_t mpirun, int rank);

// Flips bit `bit` of byte `at` wherever the process's own memory holds `pattern`. The number of places; -1
// where this user may not write another process's memory.
int flip_bit(pid_t process, std::string_view pattern, std::size_t at, unsigned bit);

}  // namespace rn::app_testing
