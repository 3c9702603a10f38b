// all_reduce of one ResNet-18 gradient: the host communicator against MPI_Allreduce, alternating in one run.
//   mpirun -np 2 build/bin/all_reduce_bench [--elements 11173962] [--rounds 20] [--json]
// Prints the median and the fastest time of each over the rounds (a round lasts as long as its slowest rank),
// and of a vote of 48 bytes; with --json the medians in seconds on one line.
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
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
  double median() {
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
  }
  void print(const char* name, double unit, const char* unit_name) {
    const double middle = median();
    std::printf("%-34s median %8.2f %s  fastest %8.2f %s\n", name, middle / unit, unit_name,
                seconds.front() / unit, unit_name);
  }
};

void run(std::size_t count, int rounds, bool json) {
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
  if (json) {
    std::printf(
        "{\"mpi\": %.9f, \"communicator\": %.9f, \"other_memory\": %.9f, \"bf16\": %.9f, "
        "\"mpi_vote\": %.9f, \"vote\": %.9f}\n",
        mpi.median(), window.median(), bounce.median(), bf16.median(), small_mpi.median(), small.median());
    return;
  }
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
  std::size_t elements = 11'173'962;
  int rounds = 20;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      json = true;
    } else if (std::strcmp(argv[i], "--elements") == 0 && i + 1 < argc) {
      elements = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
      rounds = std::atoi(argv[++i]);
    } else {
      elements = 0;
    }
  }
  if (elements == 0 || rounds < 1) {
    std::fprintf(stderr, "usage: all_reduce_bench [--elements N] [--rounds N] [--json]\n");
    return 2;
  }
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  run(elements, rounds, json);
  MPI_Finalize();
}
