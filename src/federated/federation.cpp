#include "federated/federation.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <span>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "federated/exact_sum.h"
#include "federated/update.h"

namespace rn::federated {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

struct Federation::Round {
  std::int64_t number;
  Cohort cohort;
  std::vector<double> weights;  // of the places in the mean, as planned
  RoundTable table;
};

Federation::Federation(const FederatedOptions& options, std::uint64_t seed, Communicator& communicator,
                       const Partition& partition, const CohortSampler& cohorts, LocalTrainer& trainer,
                       FederatedState& state, ClientStates& clients, const ClientRow& row,
                       const UpdatePipeline& pipeline, const PrivacyAccount& privacy)
    : options_(options),
      seed_(seed),
      communicator_(communicator),
      partition_(partition),
      cohorts_(cohorts),
      params_(state.params),
      trainer_(trainer),
      state_(state),
      clients_(clients),
      row_(row),
      pipeline_(pipeline),
      privacy_(privacy),
      slices_(tensor_slices(state.params.layout())),
      aggregator_(make_aggregator(options, state.params, communicator, seed)),
      mean_(state.params.make_storage()) {
  if (!state.algorithm.sums_variates()) return;
  variates_.emplace(state.params, communicator);
  mean_variate_ = state.params.make_storage();
}

RoundResult Federation::run_round(double local_lr, int stop_reason) {
  const torch::NoGradGuard no_grad;
  const std::int64_t number = state_.progress.round;
  Cohort cohort = state_.async ? state_.async->timeline.next_step(number) : cohorts_.draw(number);
  const auto places = static_cast<std::int64_t>(cohort.participants.size());
  const std::int64_t statistics = row_.norms.keeps_statistics() ? 0 : params_.statistics.numel();
  Round round{number, std::move(cohort), {}, RoundTable(places, statistics)};
  plan_weights(round);

  Communicator& host = communicator_.host();
  std::vector<std::int64_t> work, members;
  for (const Participant& participant : round.cohort.participants) {
    work.push_back(participant.images);
    members.push_back(participant.client);
  }
  const RankSchedule schedule = longest_first(work, host.world_size());
  bring_states(round, schedule);
  if (places > 0) aggregator_->begin(number, members);
  if (variates_) variates_->clear();
  weights_norm_ = norm_of(state_.weights);

  const auto started = Clock::now();
  for (const std::int64_t place : schedule.of_rank[static_cast<std::size_t>(host.rank())]) {
    train_client(round, static_cast<std::size_t>(place), local_lr);
  }
  round.table.share(host, stop_reason, seconds_since(started));
  record_owners(round, schedule);
  RoundResult result = result_of(round);
  if (state_.async) state_.async->keep(number, state_.weights, state_.statistics);
  if (result.clients > 0) apply(round, result);
  params_.weights.copy_(state_.weights);  // the resident model is the server's between rounds
  params_.statistics.copy_(state_.statistics);
  advance(round, result);
  return result;
}

// Weights sum to 1 over the cohort, so that sums stay within kExactLimit. Under privacy every client counts
// 1 / wanted, however many answer: its influence must not depend on the others.
void Federation::plan_weights(Round& round) const {
  double total = 0;
  for (const Participant& participant : round.cohort.participants) {
    double weight = 1;
    if (options_.weighting == "samples") weight = static_cast<double>(partition_.size(participant.client));
    round.weights.push_back(weight);
    total += weight;
  }
  if (privacy_.enabled()) total = static_cast<double>(cohorts_.wanted());
  for (double& weight : round.weights) weight /= total;
}

void Federation::bring_states(const Round& round, const RankSchedule& schedule) {
  if (!clients_.enabled()) return;
  std::vector<std::pair<std::int64_t, int>> moves;
  for (std::size_t rank = 0; rank < schedule.of_rank.size(); ++rank) {
    for (const std::int64_t place : schedule.of_rank[rank]) {
      moves.emplace_back(round.cohort.participants[static_cast<std::size_t>(place)].client,
                         static_cast<int>(rank));
    }
  }
  clients_.bring(moves, communicator_.host());
}

// The weights that the client got when it was asked.
AsyncState::Version Federation::start_of(const Round& round, const Participant& participant) const {
  if (participant.staleness == 0) return {state_.weights, state_.statistics};
  return state_.async->older(round.number - participant.staleness);
}

void Federation::train_client(Round& round, std::size_t place, double local_lr) {
  const Participant& participant = round.cohort.participants[place];
  const AsyncState::Version start = start_of(round, participant);
  const auto staleness = static_cast<double>(participant.staleness);
  LocalTask task;
  task.round = participant.round;
  task.client = participant.client;
  task.images = partition_.of(participant.client);
  task.steps = participant.steps;
  task.lr = local_lr * std::pow(options_.local_lr_decay, -staleness);  // that of its start
  task.flip_labels = pipeline_.flips_labels(participant.client);
  task.whole_gradient = options_.algorithm == "fedsgd";

  params_.weights.copy_(start.weights);
  params_.statistics.copy_(start.statistics);
  torch::Tensor kept;  // the client's row, as it was
  torch::Tensor row;   // and as it becomes
  if (clients_.enabled()) {
    const bool known = clients_.has(participant.client);
    kept = clients_.take(participant.client);
    row = kept.clone();
    if (known) row_.norms.load(row_.norms_of(row));
  }
  torch::Tensor of_algorithm = row_.algorithm_of(row).to(params_.weights.device());
  const auto correction = state_.algorithm.before(start.weights, task, of_algorithm);
  LocalResult result;
  {
    const torch::AutoGradMode with_gradients(true);
    result = trainer_.train(task, correction);
  }
  row_.norms.save(row_.norms_of(row));
  row_.norms.forget(start.weights);
  torch::Tensor& update = params_.weights;  // y becomes y - x

  ClientReport report;
  report.loss_sum = result.loss_sum;
  report.images = static_cast<double>(result.images);
  report.steps = static_cast<double>(result.steps);
  report.norm = subtract(update, start.weights);
  std::string objection = objection_to(report.norm, result);
  if (objection.empty()) {
    const auto contribution = state_.algorithm.after(update, task, result, of_algorithm);
    report.scalar = contribution.scalar;
    const auto outcome =
        pipeline_.apply(update, row_.residual_of(row), state_.progress.clip, task.round, task.client);
    report.below_bound = outcome.below_bound ? 1 : 0;
    const double sent_norm = outcome.changed ? norm_of(update) : report.norm;
    const auto& variate = contribution.variate;
    if (!(sent_norm < kExactLimit) || (variate.defined() && !(norm_of(variate) < kExactLimit))) {
      objection = "what it sends is too long";
    } else {
      report.counts = true;
      const double discount = state_.async ? staleness_weight(options_, participant.staleness) : 1;
      aggregator_->add(place, update, round.weights[place] * contribution.factor * discount);
      if (variate.defined()) {
        variates_->add(variate, 1 / static_cast<double>(round.weights.size()));
      }
      if (row_.algorithm_size > 0) row_.algorithm_of(row).copy_(of_algorithm);
    }
  }
  if (!objection.empty()) reject(task, objection);
  if (clients_.enabled() && (report.counts || clients_.has(task.client))) {
    clients_.put(task.client, report.counts ? row : kept);
  }
  if (!report.counts) report.loss_sum = report.norm = 0;  // perhaps not finite
  round.table.set(place, report);
  if (report.counts && !row_.norms.keeps_statistics() && params_.statistics.numel() > 0) {
    const auto wide = params_.statistics.to(torch::kCPU, torch::kFloat64).contiguous();
    std::copy_n(wide.const_data_ptr<double>(), wide.numel(), round.table.statistics(place).begin());
  }
}

std::string Federation::objection_to(double norm, const LocalResult& result) const {
  if (!std::isfinite(result.loss_sum)) return "its loss is not finite";
  if (!std::isfinite(norm)) return "its update is not finite";
  const double bound = std::min(kExactLimit, options_.explosion * weights_norm_);
  if (weights_norm_ > 0 && !(norm < bound)) {
    return cat("its update has the norm ", norm, ", beyond ", bound,
               " (federated.explosion: ", options_.explosion, " times the norm of the weights)");
  }
  return {};
}

void Federation::reject(const LocalTask& task, const std::string& objection) const {
  const std::string what = cat("round ", state_.progress.round + 1, ", client ", task.client, ": ", objection,
                               " (", task.images.size(), " images)");
  if (options_.on_bad_update == "stop") {
    throw NonFiniteError(
        cat(what,
            ". The server's weights are those before this round. Lower optimizer.lr, add "
            "train.clip_norm, or leave such clients out with federated.on_bad_update: skip."));
  }
  log_warning(what, "; it is left out of the round");
}

void Federation::record_owners(const Round& round, const RankSchedule& schedule) {
  if (!clients_.enabled()) return;
  for (std::size_t rank = 0; rank < schedule.of_rank.size(); ++rank) {
    for (const std::int64_t position : schedule.of_rank[rank]) {
      const auto place = static_cast<std::size_t>(position);
      if (!round.table.report(place).counts) continue;
      clients_.set_owner(round.cohort.participants[place].client, static_cast<int>(rank));
    }
  }
}

// Sums in the order of places: the same on every rank, at any rank count.
RoundResult Federation::result_of(const Round& round) const {
  RoundResult result;
  result.asked = round.cohort.asked;
  result.dropped = round.cohort.dropped;
  result.late = round.cohort.late;
  result.received = round.cohort.received;
  result.simulated_seconds = round.cohort.seconds;
  result.stop_reason = round.table.stop_reason();
  double loss_sum = 0, norms = 0, staleness = 0;
  for (std::size_t place = 0; place < round.weights.size(); ++place) {
    const ClientReport report = round.table.report(place);
    if (!report.counts) {
      ++result.skipped;
      continue;
    }
    ++result.clients;
    loss_sum += report.loss_sum;
    result.images += report.images;
    result.below_bound += report.below_bound;
    norms += report.norm;
    staleness += static_cast<double>(round.cohort.participants[place].staleness);
  }
  if (result.images > 0) result.train_loss = loss_sum / result.images;
  if (result.clients > 0) {
    result.update_norm = norms / static_cast<double>(result.clients);
    result.staleness = staleness / static_cast<double>(result.clients);
  }
  double longest = 0, total = 0;
  for (const double seconds : round.table.rank_seconds()) {
    longest = std::max(longest, seconds);
    total += seconds;
  }
  const auto ranks = static_cast<double>(round.table.rank_seconds().size());
  if (longest > 0) result.idle_share = 1 - total / (longest * ranks);
  return result;
}

void Federation::apply(const Round& round, RoundResult& result) {
  double counted = 0, scalar = 0;  // of the planned weights, those that count
  for (std::size_t place = 0; place < round.weights.size(); ++place) {
    const ClientReport report = round.table.report(place);
    if (!report.counts) continue;
    counted += round.weights[place];
    scalar += round.weights[place] * report.scalar;
  }
  const bool rescales = result.skipped > 0 && !privacy_.enabled();
  aggregator_->finish(round.table, rescales ? 1 / counted : 1, mean_);
  if (options_.privacy == "central") add_central_noise(round);
  result.mean_update_norm = norm_of(mean_);

  RoundMeans means;
  means.round = round.number;
  means.clients = result.clients;
  means.update = mean_;
  means.scalar = rescales ? scalar / counted : scalar;
  if (variates_) {
    const auto planned = static_cast<double>(round.weights.size());
    variates_->finish(result.skipped > 0 ? planned / static_cast<double>(result.clients) : 1, mean_variate_);
    means.variate = mean_variate_;
  }
  state_.algorithm.apply(state_.weights, means);
  average_statistics(round, counted);
}

void Federation::add_central_noise(const Round& round) {
  const double deviation =
      privacy_.sum_noise_multiplier() * state_.progress.clip / static_cast<double>(cohorts_.wanted());
  torch::Tensor host = mean_.to(torch::kCPU, torch::kFloat32);
  add_privacy_noise({host.data_ptr<float>(), static_cast<std::size_t>(host.numel())}, slices_, deviation,
                    seed_, round.number, kServer);
  if (!host.is_same(mean_)) mean_.copy_(host);
}

// By the clients' weights, in float64 and in the order of places; no server optimizer touches them.
void Federation::average_statistics(const Round& round, double counted) {
  if (row_.norms.keeps_statistics() || state_.statistics.numel() == 0) return;
  auto mean = torch::zeros({state_.statistics.numel()}, torch::kFloat64);
  double* out = mean.data_ptr<double>();
  for (std::size_t place = 0; place < round.weights.size(); ++place) {
    if (!round.table.report(place).counts) continue;
    const auto values = round.table.statistics(place);
    const double weight = round.weights[place] / counted;
    for (std::size_t i = 0; i < values.size(); ++i) out[i] += weight * values[i];
  }
  state_.statistics.copy_(mean);
}

void Federation::advance(const Round& round, const RoundResult& result) {
  auto& progress = state_.progress;
  ++progress.round;
  progress.simulated_seconds = state_.async ? state_.async->timeline.state().clock
                                            : progress.simulated_seconds + result.simulated_seconds;
  progress.skipped_updates += result.skipped;
  progress.clip = privacy_.next_clip(progress.clip, result.below_bound, static_cast<double>(result.clients),
                                     seed_, round.number);
}

}  // namespace rn::federated
