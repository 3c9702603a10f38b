// Who this process is, read from the launcher's environment (Open MPI, SLURM with PMIx) before MPI starts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace rn::dist {

enum class Launcher { kNone, kOpenMpi, kSlurm };

struct LaunchEnv {
  bool launched = false;  // false: no launcher, a run of one rank, MPI is never initialised
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;
  int local_size = 1;
  std::string job = "local";  // unique per job on this node; safe in file names
  Launcher launcher = Launcher::kNone;
  bool cores_bound = false;  // the launcher gave each rank its own cores on purpose (SLURM's --cpu-bind)
  std::string hint;          // not empty: a warning for the user, e.g. that SLURM's tasks are not used
};

// Looks a variable of the environment up; nullopt where it is not set.
using EnvLookup = std::function<std::optional<std::string>(const char* name)>;

// Throws EnvironmentError when SLURM started several tasks that MPI would see as rank 0 of 1 each, or when a
// launcher's variables are missing or contradict each other.
LaunchEnv read_launch_env();
LaunchEnv read_launch_env(const EnvLookup& lookup);

// Seconds until the batch system ends this job: SLURM_JOB_END_TIME (seconds since 1970; SLURM sets it
// from 23.02 on, slurm/lib.sh before) minus `now`. nullopt where it is not known or has passed. Never throws.
std::optional<double> seconds_to_job_end();
std::optional<double> seconds_to_job_end(const EnvLookup& lookup, std::int64_t now);

// The rank alone, 0 where it cannot be told: who prints an error that all ranks share, even when the
// environment is one that read_launch_env refuses. Never throws.
int rank_from_environment();
int rank_from_environment(const EnvLookup& lookup);

}  // namespace rn::dist
