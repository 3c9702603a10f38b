#include "dist/launch_env.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "core/error.h"

namespace rn::dist {
namespace {

using Variables = std::map<std::string, std::string>;

EnvLookup lookup_in(Variables variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

LaunchEnv read(Variables variables) { return read_launch_env(lookup_in(std::move(variables))); }

std::string refusal_of(Variables variables) {
  try {
    (void)read(std::move(variables));
  } catch (const EnvironmentError& error) {
    return error.what();
  }
  return "";
}

Variables open_mpi(int rank, int size, int local_rank, int local_size) {
  return {{"OMPI_COMM_WORLD_RANK", std::to_string(rank)},
          {"OMPI_COMM_WORLD_SIZE", std::to_string(size)},
          {"OMPI_COMM_WORLD_LOCAL_RANK", std::to_string(local_rank)},
          {"OMPI_COMM_WORLD_LOCAL_SIZE", std::to_string(local_size)},
          {"PMIX_RANK", std::to_string(rank)},
          {"PMIX_NAMESPACE", "1597374465"},
          {"PMIX_SERVER_URI4", "1597374464.0;tcp4://127.0.0.1:35743"}};
}

Variables slurm_step(int rank, int size, int local_rank, int node, const std::string& per_node) {
  return {{"SLURM_JOB_ID", "77"},
          {"SLURM_STEP_ID", "0"},
          {"SLURM_PROCID", std::to_string(rank)},
          {"SLURM_NTASKS", std::to_string(size)},
          {"SLURM_STEP_NUM_TASKS", std::to_string(size)},
          {"SLURM_LOCALID", std::to_string(local_rank)},
          {"SLURM_NODEID", std::to_string(node)},
          {"SLURM_STEP_TASKS_PER_NODE", per_node}};
}

TEST(LaunchEnvTest, NoLauncherIsARunOfOneRank) {
  const LaunchEnv env = read({});
  EXPECT_FALSE(env.launched);
  EXPECT_EQ(env.rank, 0);
  EXPECT_EQ(env.world_size, 1);
  EXPECT_EQ(env.local_size, 1);
  EXPECT_EQ(env.hint, "");
}

TEST(LaunchEnvTest, ReadsOpenMpi) {
  const LaunchEnv env = read(open_mpi(5, 8, 1, 4));
  EXPECT_TRUE(env.launched);
  EXPECT_EQ(env.launcher, Launcher::kOpenMpi);
  EXPECT_EQ(env.rank, 5);
  EXPECT_EQ(env.world_size, 8);
  EXPECT_EQ(env.local_rank, 1);
  EXPECT_EQ(env.local_size, 4);
}

TEST(LaunchEnvTest, JobIsSharedByTheRanksAndDiffersBetweenServers) {
  const std::string job = read(open_mpi(0, 2, 0, 2)).job;
  EXPECT_EQ(job, read(open_mpi(1, 2, 1, 2)).job);
  Variables other = open_mpi(0, 2, 0, 2);
  other["PMIX_SERVER_URI4"] = "1597374464.0;tcp4://127.0.0.1:35744";  // same job number, another mpirun
  EXPECT_NE(job, read(other).job);
}

TEST(LaunchEnvTest, JobIsSafeInFileNames) {
  Variables variables = open_mpi(0, 1, 0, 1);
  variables["PMIX_NAMESPACE"] = "../prterun host@1/" + std::string(300, 'x');
  const std::string job = read(variables).job;
  EXPECT_LT(job.size(), 100u);
  EXPECT_EQ(job.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"),
            std::string::npos)
      << job;
}

TEST(LaunchEnvTest, ReadsSlurmWithPmix) {
  struct Case {
    int node;
    std::string per_node;
    int local_size;
  };
  const std::vector<Case> cases = {{0, "2", 2},       {0, "2(x3),1", 2}, {2, "2(x3),1", 2},
                                   {3, "2(x3),1", 1}, {1, "3,2,4", 2},   {2, "3,2,4", 4}};
  for (const auto& c : cases) {
    Variables variables = slurm_step(4, 9, 0, c.node, c.per_node);
    variables["PMIX_RANK"] = "4";
    const LaunchEnv env = read(variables);
    EXPECT_TRUE(env.launched);
    EXPECT_EQ(env.launcher, Launcher::kSlurm);
    EXPECT_EQ(env.rank, 4);
    EXPECT_EQ(env.world_size, 9);
    EXPECT_EQ(env.local_size, c.local_size) << c.per_node << " node " << c.node;
  }
}

TEST(LaunchEnvTest, SlurmBindingIsKeptUnlessNone) {
  for (const auto& [type, bound] : std::vector<std::pair<std::string, bool>>{
           {"", false}, {"none", false}, {"none,", false}, {"mask_cpu:", true}, {"cores", true}}) {
    Variables variables = slurm_step(0, 2, 0, 0, "2");
    variables["PMIX_RANK"] = "0";
    variables["SLURM_CPU_BIND_TYPE"] = type;
    EXPECT_EQ(read(variables).cores_bound, bound) << "'" << type << "'";
  }
}

TEST(LaunchEnvTest, TasksWithoutPmixAreRefusedWithTheWayOn) {
  const std::string message = refusal_of(slurm_step(1, 4, 1, 0, "4"));
  EXPECT_NE(message.find("srun --mpi=pmix"), std::string::npos) << message;
  EXPECT_NE(message.find("4 tasks"), std::string::npos) << message;
}

TEST(LaunchEnvTest, OneTaskWithoutPmixRunsAlone) {
  const LaunchEnv env = read(slurm_step(0, 1, 0, 0, "1"));
  EXPECT_FALSE(env.launched);
}

TEST(LaunchEnvTest, TheBatchScriptItselfRunsAloneWithAHint) {
  const LaunchEnv env = read({{"SLURM_JOB_ID", "77"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}});
  EXPECT_FALSE(env.launched);
  EXPECT_NE(env.hint.find("4 tasks"), std::string::npos) << env.hint;
}

TEST(LaunchEnvTest, MpirunInsideAnAllocationIsOpenMpis) {
  Variables variables = slurm_step(0, 4, 0, 0, "4");
  variables.merge(open_mpi(1, 2, 1, 2));
  const LaunchEnv env = read(variables);
  EXPECT_EQ(env.launcher, Launcher::kOpenMpi);
  EXPECT_EQ(env.rank, 1);
}

TEST(LaunchEnvTest, ContradictionsAreRefused) {
  Variables no_size = open_mpi(0, 2, 0, 2);
  no_size.erase("OMPI_COMM_WORLD_SIZE");
  Variables not_a_number = open_mpi(0, 2, 0, 2);
  not_a_number["OMPI_COMM_WORLD_LOCAL_SIZE"] = "2x";
  Variables bad_list = slurm_step(0, 2, 0, 0, "two");
  bad_list["PMIX_RANK"] = "0";
  const std::vector<std::pair<Variables, std::string>> cases = {
      {no_size, "OMPI_COMM_WORLD_SIZE"},    {not_a_number, "2x"},
      {open_mpi(2, 2, 0, 2), "contradict"}, {open_mpi(0, 2, 3, 2), "contradict"},
      {open_mpi(0, 2, 0, 4), "contradict"}, {open_mpi(-1, 2, 0, 2), "contradict"},
      {{{"PMIX_RANK", "0"}}, "PMIX_RANK"},  {bad_list, "two"}};
  for (const auto& [variables, expected] : cases) {
    const std::string message = refusal_of(variables);
    EXPECT_NE(message.find(expected), std::string::npos)
        << "expected '" << expected << "' in '" << message << "'";
  }
}

TEST(LaunchEnvTest, TheRankAloneIsReadFromRefusedEnvironmentsToo) {
  EXPECT_EQ(rank_from_environment(lookup_in({})), 0);
  EXPECT_EQ(rank_from_environment(lookup_in(slurm_step(3, 4, 3, 0, "4"))), 3);
  EXPECT_EQ(rank_from_environment(lookup_in({{"OMPI_COMM_WORLD_RANK", "2"}, {"SLURM_PROCID", "0"}})), 2);
  EXPECT_EQ(rank_from_environment(lookup_in({{"OMPI_COMM_WORLD_RANK", "x"}})), 0);
}

TEST(LaunchEnvTest, TheEndOfTheJobIsKnownFromSlurm) {
  constexpr std::int64_t kNow = 1'800'000'000;
  const auto left = [](const char* end) {
    return seconds_to_job_end(lookup_in({{"SLURM_JOB_END_TIME", end}}), kNow);
  };
  EXPECT_EQ(left("1800000090"), 90);
  EXPECT_EQ(left("1800000000"), std::nullopt);
  EXPECT_EQ(left("1700000000"), std::nullopt) << "of a job that is over";
  EXPECT_EQ(left(""), std::nullopt);
  EXPECT_EQ(left("UNLIMITED"), std::nullopt);
  EXPECT_EQ(left("99999999999999999999999"), std::nullopt);
  EXPECT_EQ(seconds_to_job_end(lookup_in({}), kNow), std::nullopt);
}

}  // namespace
}  // namespace rn::dist
