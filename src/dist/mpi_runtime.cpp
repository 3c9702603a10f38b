#include "dist/mpi_runtime.h"

#include <mpi.h>

#include "core/error.h"
#include "dist/library_versions.h"

namespace rn::dist {

MpiRuntime::MpiRuntime(const LaunchEnv& env) {
  int provided = MPI_THREAD_SINGLE;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided);
  if (provided < MPI_THREAD_SERIALIZED) {
    throw EnvironmentError(
        cat("this MPI (", mpi_version(), ") was built without thread support, which the communicators need"));
  }
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (rank != env.rank || size != env.world_size) {
    throw EnvironmentError(cat("the launcher says rank ", env.rank, " of ", env.world_size, ", MPI says ",
                               rank, " of ", size,
                               ". The mpirun or srun in use does not belong to the MPI library (",
                               mpi_version(), "). With SLURM use `srun --mpi=pmix`."));
  }
}

void MpiRuntime::finalize() { MPI_Finalize(); }

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string version(text);
  // Build details follow: after a comma in Open MPI's, on more lines in MPICH's.
  if (const auto end = version.find_first_of(",\n"); end != std::string::npos) version.resize(end);
  return version;
}

}  // namespace rn::dist
