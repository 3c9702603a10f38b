// all_reduce of one ResNet-18 gradient: the host communicator against MPI_Allreduce, alternating in one run.
//   mpirun -np 2 build/bin/all_reduce_bench [elements] [rounds]
// Prints the median and the fastest time of each over the rounds (a round lasts as long as its slowest rank),
// and of a vote of 48 bytes.
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "dist/mpi_communicator.h"

namespace {

struct Times {
  std::vector<double> seconds;
  template <typename Run>
  void measure(Run run) {
    MPI_Barrier(MPI_COMM_WORLD);
    const double start = MPI_Wtime();
    run();
    double mine = MPI_Wtime() - start;
    double slowest = 0;
    MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    seconds.push_back(slowest);
  }
  void print(const char* name, double unit, const char* unit_name) {
    std::sort(seconds.begin(), seconds.end());
    std::printf("%-34s median %8.2f %s  fastest %8.2f %s\n", name, seconds[seconds.size() / 2] / unit,
                unit_name, seconds.front() / unit, unit_name);
  }
};

void run(std::size_t count, int rounds) {
  using rn::DType;
  rn::dist::MpiCommunicator communicator;
  const auto buffer = communicator.allocate(count * sizeof(float));
  std::vector<float> outside(count, 0.5F);
  std::vector<float> vote(12, 1.0F);
  const auto bytes = rn::bytes_of(std::span(outside));
  Times mpi, window, bounce, bf16, small_mpi, small;
  for (int i = 0; i < rounds + 2; ++i) {
    mpi.measure([&] {
      MPI_Allreduce(MPI_IN_PLACE, outside.data(), static_cast<int>(count), MPI_FLOAT, MPI_SUM,
                    MPI_COMM_WORLD);
    });
    window.measure([&] { communicator.all_reduce(buffer->bytes(), DType::kF32).wait(); });
    std::fill(outside.begin(), outside.end(), 0.5F);
    bounce.measure([&] { communicator.all_reduce(bytes, DType::kF32).wait(); });
    bf16.measure([&] { communicator.all_reduce(buffer->bytes(), DType::kF32, DType::kBF16).wait(); });
    small_mpi.measure(
        [&] { MPI_Allreduce(MPI_IN_PLACE, vote.data(), 12, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD); });
    small.measure([&] { communicator.all_reduce(rn::bytes_of(std::span(vote)), DType::kF32).wait(); });
    if (i == 1) {  // the first two rounds warm up
      for (Times* t : {&mpi, &window, &bounce, &bf16, &small_mpi, &small}) t->seconds.clear();
    }
  }
  if (communicator.rank() != 0) return;
  std::printf("%d ranks, %.1f MB of float32, %d rounds\n", communicator.world_size(),
              static_cast<double>(count) * 4e-6, rounds);
  mpi.print("MPI_Allreduce", 1e-3, "ms");
  window.print("communicator, its memory", 1e-3, "ms");
  bounce.print("communicator, other memory", 1e-3, "ms");
  bf16.print("communicator, its memory, bf16", 1e-3, "ms");
  small_mpi.print("MPI_Allreduce, 48 bytes", 1e-6, "us");
  small.print("communicator, 48 bytes", 1e-6, "us");
}

}  // namespace

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  run(argc > 1 ? std::stoul(argv[1]) : 11'173'962, argc > 2 ? std::atoi(argv[2]) : 20);
  MPI_Finalize();
}
