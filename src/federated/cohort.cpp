#include "federated/cohort.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "core/random.h"
#include "federated/distributions.h"

namespace rn::federated {
namespace {

std::int64_t steps_per_epoch(std::int64_t images, std::int64_t batch, bool drop_last) {
  return drop_last && images >= batch ? images / batch : (images + batch - 1) / batch;
}

std::int64_t images_of_steps(std::int64_t steps, std::int64_t images, std::int64_t batch, bool drop_last) {
  const std::int64_t per_epoch = steps_per_epoch(images, batch, drop_last);
  const std::int64_t epoch_images = std::min(images, per_epoch * batch);
  return steps / per_epoch * epoch_images + std::min(steps % per_epoch * batch, epoch_images);
}

CounterRandom stream(std::uint64_t seed, Purpose purpose, std::int64_t round, std::int64_t client) {
  return CounterRandom(seed, purpose, static_cast<std::uint64_t>(round), static_cast<std::uint64_t>(client));
}

std::int64_t wanted_clients(const FederatedOptions& options, std::int64_t clients) {
  const double wanted = options.cohort < 1
                            ? std::max(1.0, std::round(options.cohort * static_cast<double>(clients)))
                            : options.cohort;
  if (!(options.cohort > 0) || wanted != std::floor(wanted)) {
    throw ConfigError(cat("federated.cohort: ", options.cohort,
                          " is neither a share below 1 nor a whole number of clients"));
  }
  if (wanted > static_cast<double>(clients)) {
    throw ConfigError(
        cat("federated.cohort: ", options.cohort, " clients of a round are more than the ", clients));
  }
  return static_cast<std::int64_t>(wanted);
}

// Each client by itself with probability q: the gaps between chosen clients are geometric.
std::vector<std::int64_t> draw_poisson(CounterRandom random, std::int64_t clients, double q) {
  std::vector<std::int64_t> chosen;
  const double log_miss = std::log1p(-q);
  double client = -1;
  for (;;) {
    client += 1 + std::floor(std::log(1.0 - random.uniform()) / log_miss);
    if (!(client < static_cast<double>(clients))) return chosen;
    chosen.push_back(static_cast<std::int64_t>(client));
  }
}

// One after another in proportion to size, without replacement: the smallest of exponential times with these
// rates (Efraimidis and Spirakis 2006).
std::vector<std::int64_t> draw_by_size(std::uint64_t seed, std::int64_t round,
                                       std::span<const std::int64_t> sizes, std::int64_t count,
                                       std::span<const std::int64_t> busy) {
  std::vector<std::pair<double, std::int64_t>> times;
  times.reserve(sizes.size() - busy.size());
  auto next_busy = busy.begin();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto client = static_cast<std::int64_t>(i);
    if (next_busy != busy.end() && *next_busy == client) {
      ++next_busy;
      continue;
    }
    auto random = stream(seed, Purpose::kCohort, round, client);
    times.emplace_back(-std::log(1.0 - random.uniform()) / static_cast<double>(sizes[i]), client);
  }
  std::nth_element(times.begin(), times.begin() + count - 1, times.end());
  std::vector<std::int64_t> chosen(static_cast<std::size_t>(count));
  std::transform(times.begin(), times.begin() + count, chosen.begin(),
                 [](const auto& each) { return each.second; });
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace

std::int64_t steps_of_epochs(double epochs, std::int64_t images, std::int64_t batch, bool drop_last) {
  const auto steps = epochs * static_cast<double>(steps_per_epoch(images, batch, drop_last));
  return std::max<std::int64_t>(1, std::llround(steps));
}

CohortSampler::CohortSampler(const FederatedOptions& options, CohortShape shape, std::uint64_t seed)
    : options_(options), shape_(std::move(shape)), seed_(seed) {
  const auto clients = static_cast<std::int64_t>(shape_.client_images.size());
  RN_CHECK(shape_.batch > 0, "batch = ", shape_.batch);
  for (const auto images : shape_.client_images) RN_CHECK(images > 0, "a client without images");
  wanted_ = wanted_clients(options_, clients);
  if (options_.sampling == "poisson") {
    if (options_.over_selection != 1) {
      throw ConfigError("federated.over_selection: sampling: poisson has no fixed cohort; leave it at 1");
    }
  } else if (options_.sampling != "uniform" && options_.sampling != "by_size") {
    throw ConfigError(cat("federated.sampling: unknown: ", options_.sampling));
  }
  asked_ = static_cast<std::int64_t>(std::ceil(options_.over_selection * static_cast<double>(wanted_)));
  if (asked_ < wanted_ || asked_ > clients) {
    throw ConfigError(cat("federated.over_selection: ", options_.over_selection, " times the cohort of ",
                          wanted_, " is not between the cohort and the ", clients, " clients"));
  }
}

std::vector<std::int64_t> CohortSampler::asked_clients(std::int64_t round) const {
  if (options_.sampling != "poisson") return ask(round, asked_, {});
  const double q = static_cast<double>(wanted_) / static_cast<double>(clients());
  return draw_poisson(stream(seed_, Purpose::kCohort, round, 0), clients(), q);
}

std::vector<std::int64_t> CohortSampler::ask(std::int64_t round, std::int64_t count,
                                             std::span<const std::int64_t> busy) const {
  const std::int64_t idle = clients() - static_cast<std::int64_t>(busy.size());
  RN_CHECK(0 <= count && count <= idle && options_.sampling != "poisson", count, " of ", idle);
  if (count == 0) return {};
  if (options_.sampling == "by_size") {
    return draw_by_size(seed_, round, shape_.client_images, count, busy);
  }
  auto random = stream(seed_, Purpose::kCohort, round, 0);
  auto chosen = draw_subset(random, idle, count);  // positions among the idle ones
  std::size_t skipped = 0;
  for (auto& client : chosen) {
    client += static_cast<std::int64_t>(skipped);
    for (; skipped < busy.size() && busy[skipped] <= client; ++skipped) ++client;
  }
  return chosen;
}

bool CohortSampler::drops_out(std::int64_t round, std::int64_t client) const {
  return stream(seed_, Purpose::kClientDropout, round, client).uniform() < options_.dropout;
}

double CohortSampler::speed(std::int64_t client) const {
  if (options_.speed_sigma == 0) return options_.client_speed;
  const double z = stream(seed_, Purpose::kClientSpeed, 0, client).normal();
  return options_.client_speed * std::exp(options_.speed_sigma * z);
}

Participant CohortSampler::participant(std::int64_t round, std::int64_t client) const {
  const std::int64_t images = shape_.client_images.at(static_cast<std::size_t>(client));
  Participant part;
  part.client = client;
  part.round = round;
  if (options_.local_steps > 0) {
    part.steps = options_.local_steps;
  } else {
    part.epochs = options_.local_epochs;
    if (options_.local_epochs_min > 0) {
      const auto choices = static_cast<std::uint32_t>(options_.local_epochs - options_.local_epochs_min) + 1;
      part.epochs =
          options_.local_epochs_min + stream(seed_, Purpose::kLocalEpochs, round, client).below(choices);
    }
    part.steps = steps_of_epochs(part.epochs, images, shape_.batch, shape_.drop_last);
  }
  auto random = stream(seed_, Purpose::kStraggler, round, client);
  if (random.uniform() < options_.straggler) {
    part.work = 1.0 - random.uniform();
    part.steps = static_cast<std::int64_t>(std::ceil(part.work * static_cast<double>(part.steps)));
  }
  part.images = images_of_steps(part.steps, images, shape_.batch, shape_.drop_last);
  part.seconds = static_cast<double>(part.images) / speed(client);
  if (options_.client_bandwidth > 0) {
    part.seconds += static_cast<double>(shape_.bytes_down + shape_.bytes_up) / options_.client_bandwidth;
  }
  return part;
}

Cohort CohortSampler::draw(std::int64_t round) const {
  const auto asked = asked_clients(round);
  Cohort cohort;
  cohort.asked = static_cast<std::int64_t>(asked.size());
  auto& counted = cohort.participants;
  for (const auto client : asked) {
    if (!drops_out(round, client)) counted.push_back(participant(round, client));
  }
  cohort.dropped = cohort.asked - static_cast<std::int64_t>(counted.size());

  std::sort(counted.begin(), counted.end(), [](const Participant& a, const Participant& b) {
    return std::pair(a.seconds, a.client) < std::pair(b.seconds, b.client);
  });
  const auto answers = static_cast<std::int64_t>(counted.size());
  const std::int64_t needed = options_.sampling == "poisson" ? cohort.asked : wanted_;
  if (answers > needed) counted.resize(static_cast<std::size_t>(needed));
  const double deadline = options_.round_deadline;
  if (deadline > 0) std::erase_if(counted, [&](const Participant& part) { return part.seconds > deadline; });
  const auto kept = static_cast<std::int64_t>(counted.size());
  cohort.late = answers - kept;
  cohort.received = kept;
  if (kept < needed && deadline > 0) {
    cohort.seconds = deadline;
  } else if (kept > 0) {
    cohort.seconds = counted.back().seconds;
  }
  std::sort(counted.begin(), counted.end(),
            [](const Participant& a, const Participant& b) { return a.client < b.client; });
  return cohort;
}

}  // namespace rn::federated
