// MPI's start and end.
#pragma once

#include "dist/launch_env.h"

namespace rn::dist {

class MpiRuntime {
 public:
  // MPI_Init_thread; returns when all ranks of the job have come. Throws EnvironmentError when MPI sees
  // another rank or world size than the launcher's environment says, or cannot be called from several
  // threads.
  explicit MpiRuntime(const LaunchEnv& env);
  MpiRuntime(const MpiRuntime&) = delete;
  MpiRuntime& operator=(const MpiRuntime&) = delete;

  // MPI_Finalize, when all has gone well. The destructor does not call it: after a failure it could wait
  // forever.
  void finalize();
};

}  // namespace rn::dist
