// The main of every multi-rank test binary: starts MPI once, lets rank 0 alone report, and makes all ranks
// exit alike.
//
// Prefer EXPECT_* in multi-rank tests: a fatal assertion on one rank strands the others in their next
// collective; ctest's TIMEOUT then ends the test. `--hang-rank N` stops rank N at the start until a debugger
// clears `holding`.
#include <gtest/gtest.h>
#include <mpi.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

// Ranks other than 0 print their failures only, each line with the rank.
class FailurePrinter : public testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed()) {
      std::fprintf(stderr, "[rank %d] %s:%d: %s\n", rank_, result.file_name() ? result.file_name() : "?",
                   result.line_number(), result.message());
    }
  }

 private:
  const int rank_;
};

void wait_for_debugger(int rank) {
  volatile bool holding = true;
  std::fprintf(stderr, "[rank %d] pid %d waits; in gdb: set var holding = 0\n", rank, getpid());
  while (holding) sleep(1);
}

}  // namespace

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], "--hang-rank") == 0 && std::atoi(argv[i + 1]) == rank) wait_for_debugger(rank);
  }
  testing::InitGoogleTest(&argc, argv);
  if (rank != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    delete listeners.Release(listeners.default_xml_generator());
    listeners.Append(new FailurePrinter(rank));
  }
  const int mine = RUN_ALL_TESTS();
  int all = 0;
  MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  MPI_Finalize();
  return all;
}
