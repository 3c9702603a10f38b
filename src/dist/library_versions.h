// The versions of the communication libraries, for --version, records and the comparison of ranks at start.
#pragma once

#include <string>

namespace rn::dist {

std::string mpi_version();   // "Open MPI v4.1.4"; MPI need not run
std::string nccl_version();  // "2.30.7", or empty where the build has no NCCL

}  // namespace rn::dist
