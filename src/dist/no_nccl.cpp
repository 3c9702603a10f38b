// The stub of nccl_communicator.cpp for builds without CUDA.
#include "core/error.h"
#include "dist/library_versions.h"
#include "dist/nccl_communicator.h"

namespace rn::dist {

std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator&, int, double, ProgressBoard*) {
  throw EnvironmentError(
      "[dist] this build has no NCCL. Use dist.backend=mpi, or build the CUDA flavour with RN_CUDA=ON.");
}

std::string nccl_version() { return {}; }
std::string nccl_problem() { return {}; }

}  // namespace rn::dist
