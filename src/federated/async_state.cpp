#include "federated/async_state.h"

#include <utility>

#include "core/error.h"

namespace rn::federated {
namespace {

constexpr char kFile[] = "async";
constexpr std::int64_t kColumns = 3;  // client, wave, version

}  // namespace

AsyncState::AsyncState(const FederatedOptions& options, const CohortSampler& cohorts,
                       const model::FlatParameters& params)
    : timeline(options, cohorts), params_(params) {}

void AsyncState::keep(std::int64_t version, const torch::Tensor& weights, const torch::Tensor& statistics) {
  std::map<std::int64_t, Version> kept;
  for (const std::int64_t older : timeline.older_versions(version + 1)) {
    kept[older] = older == version ? Version{weights.detach().clone(), statistics.clone()}
                                   : std::move(older_.at(older));
  }
  older_ = std::move(kept);
}

void AsyncState::walk(train::StateVisitor& visitor, std::int64_t version) {
  walk_timeline(visitor, version);
  // The versions follow from the clients in flight, so only their numbers need a place.
  std::map<std::int64_t, Version> kept;
  for (const std::int64_t older : timeline.older_versions(version)) {
    auto& entry = kept[older];
    const auto found = older_.find(older);
    entry = found != older_.end() ? found->second
                                  : Version{params_.make_storage(), torch::zeros_like(params_.statistics)};
    const std::string prefix = cat("version", older, ".");
    visitor.storage(kFile, prefix, entry.weights);
    visitor.statistics(kFile, prefix, entry.statistics);
  }
  older_ = std::move(kept);
}

// The list of clients as two tensors, whose length is a value of its own: a visitor that reads sets that
// first.
void AsyncState::walk_timeline(train::StateVisitor& visitor, std::int64_t version) {
  auto state = timeline.state();
  auto count = static_cast<std::int64_t>(state.flight.size());
  visitor.value("async.clock", state.clock);
  visitor.value("async.waves", state.waves);
  visitor.value("async.in_flight", count);
  if (count < 0 || count > timeline.most_in_flight()) {
    throw DataError(
        cat("the checkpoint has ", count, " clients in flight, the run at most ", timeline.most_in_flight()));
  }
  state.flight.resize(static_cast<std::size_t>(count));
  if (count > 0) {
    auto clients = torch::empty({count, kColumns}, torch::kInt64);
    auto arrivals = torch::empty({count}, torch::kFloat64);
    auto* row = clients.data_ptr<std::int64_t>();
    auto* arrival = arrivals.data_ptr<double>();
    for (const InFlight& each : state.flight) {
      *row++ = each.client;
      *row++ = each.wave;
      *row++ = each.version;
      *arrival++ = each.arrival;
    }
    // Where the communicator reaches them.
    const auto device = params_.weights.device();
    clients = clients.to(device);
    arrivals = arrivals.to(device);
    visitor.tensor(kFile, "in_flight", clients);
    visitor.tensor(kFile, "arrivals", arrivals);
    clients = clients.to(torch::kCPU);
    arrivals = arrivals.to(torch::kCPU);
    row = clients.data_ptr<std::int64_t>();
    arrival = arrivals.data_ptr<double>();
    for (InFlight& each : state.flight) {
      each.client = *row++;
      each.wave = *row++;
      each.version = *row++;
      each.arrival = *arrival++;
    }
  }
  timeline.restore(std::move(state), version);
}

}  // namespace rn::federated
