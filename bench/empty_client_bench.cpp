// What the federation adds to a client's local training: the server's weights in, the weighted difference
// out.
//   OMP_NUM_THREADS=1 build/bin/empty_client_bench [rounds]
// A round of 50 clients with one image each, less their local training alone, over as many weights as
// pfl-research's network has, of which the training touches few. Prints one JSON line with medians.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "dist/single_communicator.h"
#include "federated/federation.h"
#include "io/file_system.h"

namespace {

using namespace rn;
using namespace rn::federated;

constexpr std::int64_t kClients = 50;
constexpr int kClasses = 10;
constexpr std::int64_t kWeights = 1'626'442;  // with the bias
// Read the weights and write the copy; read both for the difference; read and write the float64 sum.
constexpr std::int64_t kBytesPerWeight = (4 + 4) + (4 + 4) + (8 + 8);

// Logits that are the bias: a step costs as good as nothing beyond its passes over the weights.
class Idle : public model::Network {
 public:
  Idle()
      : idle_(register_parameter("idle", torch::rand({kWeights - kClasses}))),
        bias_(register_parameter("bias", torch::zeros({kClasses}))) {}
  torch::Tensor forward(torch::Tensor images) override { return bias_.expand({images.size(0), kClasses}); }

 private:
  torch::Tensor idle_, bias_;
};

Partition one_image_each() {
  std::vector<std::uint32_t> images;
  std::vector<std::int64_t> offsets = {0};
  for (std::uint32_t client = 0; client < kClients; ++client) {
    images.push_back(client);
    offsets.push_back(client + 1);
  }
  return Partition(std::move(images), std::move(offsets));
}

data::ImageSet grey_images() {
  data::ImageSet images;
  images.size = kClients;
  images.pixels.assign(static_cast<std::size_t>(kClients) * 3 * 32 * 32, 128);
  images.labels.assign(static_cast<std::size_t>(kClients), 0);
  return images;
}

template <class Work>
double seconds_of(const Work& work) {
  const auto started = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(int rounds) {
  FederatedOptions options;
  options.clients = kClients;
  options.cohort = kClients;
  options.weighting = "uniform";
  LocalOptions local;
  local.batch = 1;
  local.optimizer.momentum = 0;
  local.optimizer.nesterov = false;
  local.optimizer.weight_decay = 0;
  local.augment.crop_padding = 0;
  local.augment.flip = data::Flip::kNone;

  dist::SingleCommunicator communicator;
  const Partition partition = one_image_each();
  const data::ImageSet images = grey_images();
  Idle net;
  model::FlatParameters params(net, communicator, std::int64_t{1} << 40);
  LocalTrainer trainer(net, params, images, kClasses, local);
  const auto algorithm = make_algorithm(options, local.optimizer, params, trainer);
  CohortShape shape;
  shape.client_images.assign(kClients, 1);
  shape.batch = 1;
  const CohortSampler cohorts(options, shape, /*seed=*/1);
  const PrivacyAccount privacy(options, cohorts.wanted());
  const UpdatePipeline pipeline(options, params, /*seed=*/1, privacy.noise_multiplier());
  const ClientRow row{0, 0, LocalNorms(options, net, params)};
  FederatedState state(params, *algorithm, options, cohorts);
  ClientStates clients(io::posix_file_system(), kClients, row.size(), torch::kFloat32, /*limit=*/1, "unused");
  Federation federation(options, /*seed=*/1, communicator, partition, cohorts, trainer, state, clients, row,
                        pipeline, privacy);

  const auto train_alone = [&] {
    for (std::int64_t client = 0; client < kClients; ++client) {
      LocalTask task;
      task.client = client;
      task.images = partition.of(client);
      task.steps = 1;
      task.lr = 0.1;
      trainer.train(task, {});
    }
  };
  std::vector<double> whole, alone;
  for (int round = 0; round < rounds + 2; ++round) {
    const double of_round = seconds_of([&] { federation.run_round(0.1, /*stop_reason=*/0); });
    const double of_training = seconds_of(train_alone);
    if (round < 2) continue;  // the first ones warm up
    whole.push_back(of_round);
    alone.push_back(of_training);
  }
  std::printf(
      "{\"seconds_per_client\": %.9f, \"bytes_per_client\": %lld, \"training_seconds_per_client\": %.9f}\n",
      (median(whole) - median(alone)) / kClients, static_cast<long long>(kWeights * kBytesPerWeight),
      median(alone) / kClients);
}

}  // namespace

int main(int argc, char** argv) { run(argc > 1 ? std::max(1, std::atoi(argv[1])) : 11); }
