#include "federated/personal_evaluation.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "core/error.h"
#include "federated/cohort.h"
#include "train/batch.h"

namespace rn::federated {
namespace {

// Images of `client` that the resident model, in evaluation mode, classifies as labelled.
std::int64_t count_correct(model::Network& net, const data::ImageSet& images,
                           std::span<const std::uint32_t> own, const torch::Tensor& like,
                           const PersonalSetup& setup) {
  const c10::InferenceMode inference;
  std::int64_t correct = 0;
  for (std::size_t begin = 0; begin < own.size(); begin += static_cast<std::size_t>(setup.eval_batch)) {
    const auto part =
        own.subspan(begin, std::min(own.size() - begin, static_cast<std::size_t>(setup.eval_batch)));
    const auto host = data::make_batch(images, setup.augment, {{part.begin(), part.end()}, {}, 0});
    const auto batch = train::to_batch(host, images.channels, images.height, images.width, like.device(),
                                       like.scalar_type());
    const train::AutocastScope autocast(setup.precision, like.device());
    correct += net.forward(batch.images).argmax(1).eq(batch.labels).sum().item<std::int64_t>();
  }
  return correct;
}

}  // namespace

std::vector<double> evaluate_clients(model::Network& net, const data::ImageSet& images,
                                     const Partition& partition, LocalTrainer& trainer, FederatedState& state,
                                     ClientStates& clients, const ClientRow& row, Communicator& host,
                                     const PersonalSetup& setup) {
  const bool own_norms = row.norms.state_size() > 0;
  const int ranks = host.world_size();
  if (own_norms) {
    std::vector<std::pair<std::int64_t, int>> places;
    for (std::int64_t c = 0; c < partition.clients(); ++c)
      places.emplace_back(c, static_cast<int>(c % ranks));
    clients.bring(places, host);
  }
  auto& params = state.params;
  std::vector<std::int64_t> correct(static_cast<std::size_t>(partition.clients()), 0);
  for (std::int64_t client = host.rank(); client < partition.clients(); client += ranks) {
    params.weights.copy_(state.weights);
    params.statistics.copy_(state.statistics);
    if (own_norms && clients.has(client)) {
      const auto values = clients.take(client);
      row.norms.load(row.norms_of(values));
      clients.put(client, values);
    }
    const auto own = partition.of(client);
    if (setup.epochs > 0) {
      const auto steps = steps_of_epochs(setup.epochs, partition.size(client), setup.batch, setup.drop_last);
      const torch::AutoGradMode with_gradients(true);
      // Rounds below zero draw what no round of the run does.
      trainer.train({.round = -1 - state.progress.round,
                     .client = client,
                     .images = own,
                     .steps = steps,
                     .lr = setup.lr},
                    {});
    }
    net.eval();
    correct[static_cast<std::size_t>(client)] = count_correct(net, images, own, params.weights, setup);
    if (setup.on_client) setup.on_client();
  }
  net.train();
  params.weights.copy_(state.weights);
  params.statistics.copy_(state.statistics);
  host.all_reduce(bytes_of(std::span(correct)), DType::kI64).wait();
  std::vector<double> top1;
  for (std::int64_t client = 0; client < partition.clients(); ++client) {
    top1.push_back(100.0 * static_cast<double>(correct[static_cast<std::size_t>(client)]) /
                   static_cast<double>(partition.size(client)));
  }
  return top1;
}

double worst_tenth(std::vector<double> values) {
  RN_CHECK(!values.empty());
  const std::size_t count = (values.size() + 9) / 10;
  std::sort(values.begin(), values.end());
  return std::accumulate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count), 0.0) /
         static_cast<double>(count);
}

}  // namespace rn::federated
