// rn_dist doctor: every refusal with its cure, and what it says about a run that ended badly.
#include <filesystem>

#include "app_fixture.h"

namespace rn::app_testing {
namespace {

namespace fs = std::filesystem;

class DoctorTest : public AppTest {
 protected:
  // doctor behind `prefix`, which changes what it finds.
  Result doctor(const Words& prefix) const {
    return Process(prefix + Words{RN_DIST, "doctor"}, folder_.path()).wait();
  }

  void expect_refusal(const Words& prefix, const std::string& what, const std::string& cure) const {
    const Result result = doctor(prefix);
    EXPECT_EQ(result.code, 3) << result.text();
    const auto refused = result.out.find("REFUSED ");
    ASSERT_NE(refused, std::string::npos) << result.text();
    EXPECT_NE(result.out.find(what, refused), std::string::npos) << result.out;
    const auto cured = result.out.find("cure: ", refused);
    ASSERT_NE(cured, std::string::npos) << result.out;
    EXPECT_NE(result.out.find(cure, cured), std::string::npos) << result.out;
  }
};

TEST_F(DoctorTest, TasksOfSlurmThatDoNotFindEachOther) {
  expect_refusal({"env", "SLURM_JOB_ID=7", "SLURM_PROCID=1", "SLURM_STEP_ID=0", "SLURM_STEP_NUM_TASKS=4"},
                 "SLURM started 4 tasks without a way for them to find each other", "srun --mpi=pmix");
}

TEST_F(DoctorTest, ALauncherThatContradictsItself) {
  expect_refusal({"env", "OMPI_COMM_WORLD_RANK=3", "OMPI_COMM_WORLD_SIZE=2", "OMPI_COMM_WORLD_LOCAL_RANK=0",
                  "OMPI_COMM_WORLD_LOCAL_SIZE=1"},
                 "contradict each other: rank 3 of 2", "start with launch/run, mpirun");
}

TEST_F(DoctorTest, TooFewFiles) {
  expect_refusal({"prlimit", "--nofile=100:100"}, "may open 100 files at most", "ulimit -Hn");
}

TEST_F(DoctorTest, ASmallSharedMemory) {
  const Words small = {"unshare", "--mount", "sh", "-c",
                       "mount -t tmpfs -o size=4k tmpfs /dev/shm && exec \"$0\" \"$@\""};
  if (Process(small + Words{"true"}, folder_.path()).wait().code != 0) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  expect_refusal(small, "/dev/shm has 0 MiB free", "--shm-size=1g");
  const auto run = Process(small + under_mpirun(2, Words{RN_DIST} + train("run")), folder_.path()).wait();
  EXPECT_EQ(run.code, 3) << run.text();
  EXPECT_NE(run.text().find("/dev/shm must be writable and not full"), std::string::npos) << run.text();
}

TEST_F(DoctorTest, TheFlightRecordOfARunThatEndedBadly) {
  const auto run =
      Process(under_mpirun(2, Words{"env", "RN_FAULT=exit@step:rank=1:step=2", RN_DIST} + train("run")),
              folder_.path())
          .wait();
  ASSERT_EQ(run.code, 8) << run.text();
  const Result result = call({"doctor", "--flight", "run"});
  EXPECT_EQ(result.code, 0) << result.text();
  for (const char* words :
       {"failure.json: exit code 8, rank 1 on ", "left by exit()", "flight record of 2 of 2 ranks",
        "was ending the run with exit code 8", "\n  rank 0 on "}) {
    EXPECT_NE(result.out.find(words), std::string::npos) << words << " is not in\n" << result.out;
  }
  train_well("run", {}, 2);
  EXPECT_FALSE(fs::exists(path("run/flight"))) << "what went wrong before is over";
}

TEST_F(DoctorTest, NoRecordADamagedOneOrNoFolderIsExitCodeFour) {
  fs::create_directories(path("empty"));
  fs::create_directories(path("bad/flight"));
  write("bad/flight/a.jsonl", "\x1b[2J{}\n");
  for (const char* folder : {"empty", "bad", "gone"}) {
    const Result result = call({"doctor", "--flight", folder});
    EXPECT_EQ(result.code, 4) << folder << result.text();
    EXPECT_NE(result.err.find(folder), std::string::npos) << result.text();
    EXPECT_EQ(result.text().find('\x1b'), std::string::npos);
  }
  EXPECT_EQ(call({"doctor", "--flight"}).code, 2);
}

}  // namespace
}  // namespace rn::app_testing
