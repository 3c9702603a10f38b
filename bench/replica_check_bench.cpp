// What one replica check of ResNet-18 costs.
//   mpirun -np 2 build/bin/replica_check_bench [rounds]
// Prints the median and the range over the rounds, with weights and momentum alone and with EMA and SWA
// beside them.
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "dist/mpi_communicator.h"
#include "model/factory.h"
#include "train/replica_check.h"

namespace {

using namespace rn;

void measure(const char* name, train::TrainState& state, Communicator& communicator, int rounds) {
  std::vector<double> milliseconds;
  for (int round = 0; round < rounds; ++round) {
    communicator.barrier();
    const auto started = std::chrono::steady_clock::now();
    if (train::find_replica_difference(state, communicator)) std::abort();
    milliseconds.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count());
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  if (communicator.rank() != 0) return;
  std::printf("%-22s median %.1f ms, %.1f to %.1f\n", name, milliseconds[milliseconds.size() / 2],
              milliseconds.front(), milliseconds.back());
}

void run(int rounds) {
  dist::MpiCommunicator communicator;
  const auto net = model::make_network({}, /*classes=*/10, /*seed=*/1, &communicator);
  model::FlatParameters params(*net, communicator, /*bucket_cap_elements=*/1 << 21);
  train::Sgd optimizer({}, params);
  train::LossScaler scaler(train::Precision::kFP32, torch::kCPU);
  train::TrainState plain(params, optimizer, scaler, {}, {});
  train::TrainState averaged(params, optimizer, scaler, {.enabled = true}, {.enabled = true});
  measure("weights and momentum", plain, communicator, rounds);
  measure("with EMA and SWA", averaged, communicator, rounds);
}

}  // namespace

int main(int argc, char** argv) {
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
  run(argc > 1 ? std::max(1, std::atoi(argv[1])) : 21);
  MPI_Finalize();
}
