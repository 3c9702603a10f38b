// The versions of the communication libraries, for --version, records and the comparison of ranks at start.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rn::dist {

std::string mpi_version();   // "Open MPI v4.1.4"; MPI need not run
std::string nccl_version();  // "2.30.7", or empty where the build has no NCCL

// What is wrong with the NCCL of this process, in words with the cure: another version than the build's, or
// two of them loaded. Empty where all is well or the build has none.
std::string nccl_problem();

// The files among a process's memory maps (text of /proc/PID/maps) whose name begins with `library`, each
// once.
std::vector<std::string> loaded_files(std::string_view maps, std::string_view library);

}  // namespace rn::dist
