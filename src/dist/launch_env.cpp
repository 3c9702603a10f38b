#include "dist/launch_env.h"

#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iomanip>
#include <sstream>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace rn::dist {
namespace {

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? std::optional<std::string>(value) : std::nullopt;
}

std::optional<int> parse_int(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The integer value of a variable; nullopt where it is not set.
std::optional<int> integer(const EnvLookup& lookup, const char* name) {
  const auto text = lookup(name);
  if (!text) return std::nullopt;
  const auto value = parse_int(*text);
  if (!value) throw EnvironmentError(cat("the launcher set ", name, "=", *text, ", which is not a number"));
  return value;
}

int required(const EnvLookup& lookup, const char* name) {
  const auto value = integer(lookup, name);
  if (!value) {
    throw EnvironmentError(
        cat("the launcher did not set ", name, ". Start with mpirun or `srun --mpi=pmix`."));
  }
  return *value;
}

// Tasks on one node from SLURM's list of tasks per node, e.g. "2(x3),1" for nodes with 2, 2, 2 and 1 tasks.
std::optional<int> tasks_on_node(std::string_view list, int node) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    std::string_view item = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    int repeat = 1;
    if (const auto open = item.find("(x"); open != std::string_view::npos && item.back() == ')') {
      const auto count = parse_int(item.substr(open + 2, item.size() - open - 3));
      if (!count) return std::nullopt;
      repeat = *count;
      item = item.substr(0, open);
    }
    const auto tasks = parse_int(item);
    if (!tasks) return std::nullopt;
    if (node < repeat) return tasks;
    node -= repeat;
  }
  return std::nullopt;
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// A launcher's job identifiers repeat over time and, being short hashes, even at one time. The address of the
// node's PMIx server (job and port) is the same for all ranks of the node and unique among the living.
std::string job_name(const EnvLookup& lookup, const std::string& prefix) {
  std::string source = prefix;
  for (const char* name : {"PMIX_NAMESPACE", "SLURM_JOB_ID", "SLURM_STEP_ID"}) {
    source += '|' + lookup(name).value_or("");
  }
  for (const char* name : {"PMIX_SERVER_URI41", "PMIX_SERVER_URI4", "PMIX_SERVER_URI3", "PMIX_SERVER_URI21",
                           "PMIX_SERVER_URI2", "OMPI_MCA_orte_local_daemon_uri"}) {
    if (const auto uri = lookup(name)) {
      source += '|' + *uri;
      break;
    }
  }
  std::string name = prefix + '.';
  for (const char c : lookup("PMIX_NAMESPACE").value_or(lookup("SLURM_JOB_ID").value_or("job"))) {
    const bool safe = std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
    if (name.size() < 64) name += safe ? c : '_';
  }
  std::ostringstream hash;
  hash << std::hex << std::setw(16) << std::setfill('0') << fnv1a(source);
  return name + '.' + hash.str();
}

void check_range(const LaunchEnv& env) {
  const bool good = env.rank >= 0 && env.rank < env.world_size && env.local_rank >= 0 &&
                    env.local_rank < env.local_size && env.local_size <= env.world_size;
  if (!good) {
    throw EnvironmentError(cat("the launcher's variables contradict each other: rank ", env.rank, " of ",
                               env.world_size, ", rank ", env.local_rank, " of ", env.local_size,
                               " on this node"));
  }
}

LaunchEnv from_open_mpi(const EnvLookup& lookup) {
  LaunchEnv env;
  env.launched = true;
  env.launcher = Launcher::kOpenMpi;
  env.rank = required(lookup, "OMPI_COMM_WORLD_RANK");
  env.world_size = required(lookup, "OMPI_COMM_WORLD_SIZE");
  env.local_rank = required(lookup, "OMPI_COMM_WORLD_LOCAL_RANK");
  env.local_size = required(lookup, "OMPI_COMM_WORLD_LOCAL_SIZE");
  env.job = job_name(lookup, "ompi");
  return env;
}

LaunchEnv from_slurm_pmix(const EnvLookup& lookup) {
  LaunchEnv env;
  env.launched = true;
  env.launcher = Launcher::kSlurm;
  env.rank = required(lookup, "PMIX_RANK");
  const auto step_tasks = integer(lookup, "SLURM_STEP_NUM_TASKS");
  env.world_size = step_tasks ? *step_tasks : required(lookup, "SLURM_NTASKS");
  env.local_rank = required(lookup, "SLURM_LOCALID");
  const auto per_node = lookup("SLURM_STEP_TASKS_PER_NODE");
  const auto list = per_node ? per_node : lookup("SLURM_TASKS_PER_NODE");
  const auto local_size = tasks_on_node(list.value_or(""), integer(lookup, "SLURM_NODEID").value_or(0));
  if (!local_size) {
    throw EnvironmentError(cat("cannot tell the number of ranks on this node from SLURM_STEP_TASKS_PER_NODE=",
                               list.value_or("(not set)"),
                               " and SLURM_NODEID=", lookup("SLURM_NODEID").value_or("(not set)")));
  }
  env.local_size = *local_size;
  env.job = job_name(lookup, "slurm");
  const std::string bind = lookup("SLURM_CPU_BIND_TYPE").value_or("none");
  env.cores_bound = !bind.empty() && bind.rfind("none", 0) != 0;
  return env;
}

}  // namespace

LaunchEnv read_launch_env(const EnvLookup& lookup) {
  LaunchEnv env;
  if (lookup("OMPI_COMM_WORLD_RANK")) {
    env = from_open_mpi(lookup);
  } else if (lookup("PMIX_RANK")) {
    if (!lookup("SLURM_PROCID")) {
      throw EnvironmentError(
          "PMIX_RANK is set, but neither Open MPI's nor SLURM's variables are. Start with mpirun or "
          "`srun --mpi=pmix`.");
    }
    env = from_slurm_pmix(lookup);
  } else {
    // In the batch script itself SLURM_PROCID is set too, but no step is: that is one process, not many
    // tasks.
    const bool in_step = lookup("SLURM_STEP_NUM_TASKS") || lookup("SLURM_STEP_ID");
    const auto step_tasks = integer(lookup, "SLURM_STEP_NUM_TASKS");
    const int tasks = step_tasks ? *step_tasks : integer(lookup, "SLURM_NTASKS").value_or(1);
    if (in_step && lookup("SLURM_PROCID") && tasks > 1) {
      throw EnvironmentError(
          cat("SLURM started ", tasks,
              " tasks without a way for them to find each other: each would be rank 0 of 1. "
              "Start with `srun --mpi=pmix`, or with mpirun inside the allocation."));
    }
    if (tasks > 1 && lookup("SLURM_JOB_ID")) {
      env.hint = cat("SLURM allocated ", tasks,
                     " tasks, but this is a run of one rank: start it with mpirun or `srun --mpi=pmix`");
    }
  }
  check_range(env);
  return env;
}

LaunchEnv read_launch_env() { return read_launch_env(process_environment); }

std::optional<double> seconds_to_job_end(const EnvLookup& lookup, std::int64_t now) {
  const auto text = lookup("SLURM_JOB_END_TIME");
  std::int64_t end = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), end).ec != std::errc())
    return std::nullopt;
  if (end <= now) return std::nullopt;  // left over from another job
  return static_cast<double>(end - now);
}

std::optional<double> seconds_to_job_end() {
  return seconds_to_job_end(process_environment, std::time(nullptr));
}

int rank_from_environment(const EnvLookup& lookup) {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"}) {
    const auto text = lookup(name);
    const auto rank = text ? parse_int(*text) : std::nullopt;
    if (rank) return *rank;
  }
  return 0;
}

int rank_from_environment() { return rank_from_environment(process_environment); }

}  // namespace rn::dist
